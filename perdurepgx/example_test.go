package perdurepgx_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/perdurepgx"
)

// Declared once, beside the SQL that they name.
var (
	claimOrder = perdure.Op{Name: "orders.claim"}
	loadOrders = perdure.Op{Name: "orders.load"}
)

// A transaction is repeated until it is committed once: after a deadlock, a
// lost connection, a COMMIT whose reply was lost.
func ExampleDB_InTx() {
	err := withDatabase(func(ctx context.Context, pool *pgxpool.Config) error {
		m, err := perdure.New(perdure.Config{Name: "shop"})
		if err != nil {
			return err
		}
		defer m.Close(ctx)
		db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
		if err != nil {
			return err
		}
		defer db.Close()
		err = db.InTx(ctx, claimOrder, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "update orders set owner = $1 where id = $2", "ada", 1)
			return err
		})
		if err != nil {
			return err
		}
		var owner string
		if err := db.QueryRow(ctx, "select owner from orders where id = 1").Scan(&owner); err != nil {
			return err
		}
		fmt.Println(owner)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: ada
}

// An effect happens once for its key; whoever comes again gets the result that
// was stored with it.
func ExampleOnce() {
	err := withDatabase(func(ctx context.Context, pool *pgxpool.Config) error {
		m, err := perdure.New(perdure.Config{Name: "shop"})
		if err != nil {
			return err
		}
		defer m.Close(ctx)
		db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
		if err != nil {
			return err
		}
		defer db.Close()
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		for range 3 {
			n, err := perdurepgx.Once(ctx, db, loadOrders, "run-7/load/batch-3", func(ctx context.Context, tx pgx.Tx) (int64, error) {
				fmt.Println("loading")
				tag, err := tx.Exec(ctx, "insert into orders (owner) values ('grace'), ('barbara')")
				return tag.RowsAffected(), err
			})
			if err != nil {
				return err
			}
			fmt.Println(n, "rows")
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// loading
	// 2 rows
	// 2 rows
	// 2 rows
}

// withDatabase runs f against a private server with a table of orders.
func withDatabase(f func(ctx context.Context, pool *pgxpool.Config) error) (err error) {
	ctx := context.Background()
	c, err := pgcluster.New(ctx, pgcluster.Config{Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Start(ctx); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "create table orders (id int generated always as identity primary key, owner text); insert into orders default values")
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	pool, err := pgxpool.ParseConfig(c.URL("postgres"))
	if err != nil {
		return err
	}
	return f(ctx, pool)
}

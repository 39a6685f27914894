package perduresql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/perduresql"
)

// Declared once, beside the SQL that they name.
var (
	claimOrder = perdure.Op{Name: "orders.claim"}
	loadOrders = perdure.Op{Name: "orders.load"}
)

// Over pgx: a transaction is repeated until it is committed once, and the DB is a
// *sql.DB for all else.
func ExampleDB_InTx() {
	err := withDatabase(func(ctx context.Context, url string) error {
		m, err := perdure.New(perdure.Config{Name: "shop"})
		if err != nil {
			return err
		}
		defer m.Close(ctx)
		cc, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		cc.DialFunc = new(perduresql.Dialer).DialContext // the witness of what was sent
		db, err := perduresql.Open(stdlib.GetConnector(*cc), m, perduresql.Config{})
		if err != nil {
			return err
		}
		defer db.Close()
		err = db.InTx(ctx, claimOrder, nil, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "update orders set owner = $1 where id = $2", "ada", 1)
			return err
		})
		if err != nil {
			return err
		}
		var owner string
		if err := db.QueryRowContext(ctx, "select owner from orders where id = 1").Scan(&owner); err != nil {
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

// Over lib/pq: an effect happens once for its key; whoever comes again gets the
// result that was stored with it.
func ExampleOnce() {
	err := withDatabase(func(ctx context.Context, url string) error {
		m, err := perdure.New(perdure.Config{Name: "shop"})
		if err != nil {
			return err
		}
		defer m.Close(ctx)
		c, err := pq.NewConnector(url)
		if err != nil {
			return err
		}
		c.Dialer(new(perduresql.Dialer))
		db, err := perduresql.Open(c, m, perduresql.Config{})
		if err != nil {
			return err
		}
		defer db.Close()
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		for range 2 {
			n, err := perduresql.Once(ctx, db, loadOrders, "run-7/load/batch-3", func(ctx context.Context, tx *sql.Tx) (int64, error) {
				fmt.Println("loading")
				r, err := tx.ExecContext(ctx, "insert into orders (owner) values ('grace'), ('barbara')")
				if err != nil {
					return 0, err
				}
				return r.RowsAffected()
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
}

// withDatabase runs f against a private server with a table of orders.
func withDatabase(f func(ctx context.Context, url string) error) (err error) {
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
	return f(ctx, c.URL("postgres"))
}

package perdurepgx_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

var (
	claimOrder = perdure.Op{Name: "orders.claim"} // declared once, beside the SQL that it names
	loadOrders = perdure.Op{Name: "orders.load"}
)

// shopURL returns the URL of a database with a table of orders, for an example.
func shopURL() string {
	return server.Example(context.Background(), "create table orders (id int generated always as identity primary key, owner text); insert into orders default values")
}

// A transaction is repeated until it is committed once: after a deadlock, a
// lost connection, a COMMIT whose reply was lost.
func ExampleDB_InTx() {
	ctx := context.Background()
	pool, err := pgxpool.ParseConfig(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"}) // all the rest has documented defaults
	if err != nil {
		fmt.Println(err)
		return
	}
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{}) // pool: your own *pgxpool.Config; db fits sqlc's DBTX
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins
	err = db.InTx(ctx, claimOrder, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "update orders set owner = $1 where id = $2", "ada", 1)
		return err // a deadlock, a lost connection, a lost COMMIT: handled; this runs until it is committed once
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var owner string
	err = db.QueryRow(ctx, "select owner from orders where id = 1").Scan(&owner)
	fmt.Println(owner, err)
	// Output: ada <nil>
}

// An effect happens once for its key; whoever comes again gets the result that
// was stored with it.
func ExampleOnce() {
	ctx := context.Background()
	pool, err := pgxpool.ParseConfig(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins
	if err := db.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		n, err := perdurepgx.Once(ctx, db, loadOrders, "run-7/load/batch-3", func(ctx context.Context, tx pgx.Tx) (int64, error) {
			fmt.Println("loading")
			tag, err := tx.Exec(ctx, "insert into orders (owner) values ('grace'), ('barbara')")
			return tag.RowsAffected(), err
		})
		fmt.Println(n, "rows", err)
	}
	// Output:
	// loading
	// 2 rows <nil>
	// 2 rows <nil>
	// 2 rows <nil>
}

// Migrate makes the table by which the outcome of every lost COMMIT can be
// found, also after a crash; Auto, the default, uses it from then on.
func ExampleDB_Migrate() {
	ctx := context.Background()
	pool, err := pgxpool.ParseConfig(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins
	fmt.Println(db.Outcome())
	fmt.Println(db.Migrate(ctx)) // as a role that may create a schema; again it does nothing
	fmt.Println(db.Outcome())
	// Output:
	// token
	// <nil>
	// marker
}

// Keys are kept until somebody forgets them: then the work may be done again.
func ExampleDB_Forget() {
	ctx := context.Background()
	pool, err := pgxpool.ParseConfig(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins
	if err := db.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	load := func() {
		_, err := perdurepgx.Once(ctx, db, loadOrders, "run-7/load/batch-3", func(ctx context.Context, tx pgx.Tx) (int64, error) {
			fmt.Println("loading")
			tag, err := tx.Exec(ctx, "insert into orders (owner) values ('grace')")
			return tag.RowsAffected(), err
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	load()
	load()
	n, err := db.Forget(ctx, "run-7/load/batch-3", "run-7/load/batch-4")
	fmt.Println(n, "key forgotten", err)
	load()
	// Output:
	// loading
	// 1 key forgotten <nil>
	// loading
}

package perduresql_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perduresql"
)

// Declared once, beside the SQL that they name.
var (
	claimOrder = perdure.Op{Name: "orders.claim"}
	loadOrders = perdure.Op{Name: "orders.load"}
)

// shopURL returns the URL of a database with a table of orders, for an example.
func shopURL() string {
	return server.Example(context.Background(), "create table orders (id int generated always as identity primary key, owner text); insert into orders default values")
}

// Over pgx: a transaction is repeated until it is committed once, and the DB is a
// *sql.DB for all else.
func ExampleDB_InTx() {
	ctx := context.Background()
	cc, err := pgx.ParseConfig(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	cc.DialFunc = new(perduresql.Dialer).DialContext // the witness of what was sent
	db, err := perduresql.Open(stdlib.GetConnector(*cc), m, perduresql.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins
	err = db.InTx(ctx, claimOrder, nil, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "update orders set owner = $1 where id = $2", "ada", 1)
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var owner string
	err = db.QueryRowContext(ctx, "select owner from orders where id = 1").Scan(&owner)
	fmt.Println(owner, err)
	// Output: ada <nil>
}

// Over lib/pq: an effect happens once for its key; whoever comes again gets the
// result that was stored with it.
func ExampleOnce() {
	ctx := context.Background()
	c, err := pq.NewConnector(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Dialer(new(perduresql.Dialer)) // the witness of what was sent
	db, err := perduresql.Open(c, m, perduresql.Config{})
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
	for range 2 {
		n, err := perduresql.Once(ctx, db, loadOrders, "run-7/load/batch-3", func(ctx context.Context, tx *sql.Tx) (int64, error) {
			fmt.Println("loading")
			r, err := tx.ExecContext(ctx, "insert into orders (owner) values ('grace'), ('barbara')")
			if err != nil {
				return 0, err
			}
			return r.RowsAffected()
		})
		fmt.Println(n, "rows", err)
	}
	// Output:
	// loading
	// 2 rows <nil>
	// 2 rows <nil>
}

// A transaction that somebody else opens, as ORMs do, is not repeated; but the
// outcome of its COMMIT is found out before Commit returns.
func ExampleDB_beginTx() {
	ctx := context.Background()
	cc, err := pgx.ParseConfig(shopURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	cc.DialFunc = new(perduresql.Dialer).DialContext // the witness of what was sent
	db, err := perduresql.Open(stdlib.GetConnector(*cc), m, perduresql.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := tx.ExecContext(ctx, "update orders set owner = $1 where id = $2", "ada", 1); err != nil {
		fmt.Println(err, tx.Rollback())
		return
	}
	fmt.Println(tx.Commit()) // nil: it is committed, though its reply be lost
	// Output: <nil>
}

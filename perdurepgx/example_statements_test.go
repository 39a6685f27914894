package perdurepgx_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

var (
	countOrders  = perdure.Op{Name: "orders.count", ReadOnly: true}
	assignOrders = perdure.Op{Name: "AssignOrders", Idempotent: true} // the name that sqlc writes above its SQL
)

// A bare statement is guarded, too. Its operation is the one of WithOp, else
// the one that its "-- name:" header names, else one made of verb and table.
func ExampleDB_Exec() {
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
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{Ops: []perdure.Op{assignOrders}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins

	_, err = db.Exec(ctx, "-- name: AssignOrders :exec\nupdate orders set owner = $1 where owner is null", "ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	var n int
	if err := db.QueryRow(perdure.WithOp(ctx, countOrders), "select count(*) from orders").Scan(&n); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := db.Exec(ctx, "delete from orders where owner = $1", "grace"); err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range m.Snapshot().Operations {
		fmt.Println(o.Name, o.Succeeded)
	}
	// Output:
	// AssignOrders 1
	// delete.orders 1
	// orders.count 1
}

// An operation that is ReadOnly runs in a READ ONLY transaction: the server
// holds it to its word.
func ExampleDB_InTx_readOnly() {
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
	err = db.InTx(ctx, countOrders, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "delete from orders")
		return err
	})
	fmt.Println(err)
	// Output: ERROR: cannot execute DELETE in a read-only transaction (SQLSTATE 25006)
}

// owners is a source of a COPY that can start over.
type owners struct {
	all  []string
	next int
}

func (o *owners) Next() bool             { o.next++; return o.next <= len(o.all) }
func (o *owners) Values() ([]any, error) { return []any{o.all[o.next-1]}, nil }
func (o *owners) Err() error             { return nil }
func (o *owners) Rewind() error          { o.next = 0; return nil }

// A COPY consumes its source: it is repeated only if the source has a Rewind.
func ExampleDB_CopyFrom() {
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
	n, err := db.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"owner"}, &owners{all: []string{"ada", "grace", "barbara"}})
	fmt.Println(n, err)
	// Output: 3 <nil>
}

// A batch is one implicit transaction. It is repeated up to its first result.
func ExampleDB_SendBatch() {
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
	batch := &pgx.Batch{}
	batch.Queue("insert into orders (owner) values ($1)", "ada")
	batch.Queue("insert into orders (owner) values ($1)", "grace")
	batch.Queue("select count(*) from orders").QueryRow(func(row pgx.Row) error {
		var n int
		err := row.Scan(&n)
		fmt.Println(n, "orders")
		return err
	})
	fmt.Println(db.SendBatch(ctx, batch).Close())
	// Output:
	// 3 orders
	// <nil>
}

// The error of a transaction that fails for good is the server's own.
func ExampleDB_InTx_permanent() {
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
	errSold := errors.New("sold already")
	err = db.InTx(ctx, claimOrder, pgx.TxOptions{}, func(context.Context, pgx.Tx) error { return errSold })
	fmt.Println(err == errSold) //nolint:errorlint // untouched: it is the very same
	// Output: true
}

package sqlc_test

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/examples/sqlc/shop"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perduresql"
)

//go:embed shop/schema.sql
var schema string

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all examples

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Wrap(m)) }

// An operation is named as sqlc names its query: the header is in the SQL.
var (
	fillShop = perdure.Op{Name: "shop.fill"}
	ops      = []perdure.Op{
		{Name: "AssignOrders", Idempotent: true},
		{Name: "ListOrders", ReadOnly: true},
	}
)

// The queries get a guarded database instead of a *sql.DB, and are guarded.
func Example() {
	ctx := context.Background()
	cc, err := pgx.ParseConfig(server.Example(ctx, schema))
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	cc.DialFunc = new(perduresql.Dialer).DialContext
	db, err := perduresql.Open(stdlib.GetConnector(*cc), m, perduresql.Config{Ops: ops})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	defer m.Close(ctx) // before db: nothing new begins

	queries := shop.New(db)
	err = db.InTx(ctx, fillShop, nil, func(ctx context.Context, tx *sql.Tx) error {
		for range 2 {
			if _, err := queries.WithTx(tx).AddOrder(ctx, sql.NullString{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := queries.AssignOrders(ctx, sql.NullString{String: "ada", Valid: true})
	fmt.Println(n, err)
	orders, err := queries.ListOrders(ctx)
	for _, o := range orders {
		fmt.Println(o.ID, o.Owner.String)
	}
	fmt.Println(err)
	for _, o := range m.Snapshot().Operations {
		fmt.Println(o.Name, o.Succeeded)
	}
	// Output:
	// 2 <nil>
	// 1 ada
	// 2 ada
	// <nil>
	// AssignOrders 1
	// ListOrders 1
	// shop.fill 1
}

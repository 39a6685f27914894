package builtin_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

const restock = `
name: restock
params: {day: {type: date}}
steps:
  - name: order
    uses: sql.exec
    with: {sql: "insert into orders (owner) values ($1)", args: ["restock of ${params.day}"]}
  - name: count
    needs: [order]
    uses: sql.query
    with: {sql: "select count(*) as n from orders"}
`

// A pipeline in YAML that is run twice under one name writes once.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.ParseConfig(server.Example(ctx, "create table orders (id int generated always as identity, owner text)"))
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
	loader, err := component.New(component.Config{Factories: builtin.Factories(builtin.Config{DB: db})})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := loader.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = loader.Stop(ctx) }()
	definition, err := pipeline.Parse("restock.yaml", []byte(restock), builtin.Methods())
	if err != nil {
		fmt.Println(err)
		return
	}
	options := pipeline.Options{
		Run: "restock-2001-12-31", Params: map[string]any{"day": "2001-12-31"},
		Env: pipeline.Env{Invoker: loader},
	}
	for range 2 {
		report, err := pipeline.Run(ctx, definition, options)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, s := range report.Steps {
			fmt.Println(s.Name, s.Status, string(s.Output))
		}
	}
	// Output:
	// order succeeded {"rows":1}
	// count succeeded {"rows":[{"n":1}],"count":1}
	// order succeeded {"rows":1}
	// count succeeded {"rows":[{"n":1}],"count":1}
}

// A process gets JSON and gives JSON. It runs at least once, and is repeated
// only if it says that this does no harm.
func ExampleFactories() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	loader, err := component.New(component.Config{
		Factories:  builtin.Factories(builtin.Config{Manager: m}),
		Components: []component.Spec{{Name: "process"}}, // of the factories this one alone: sql wants a database
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	definition, err := pipeline.Parse("score.yaml", []byte(`
name: score
steps:
  - name: model
    uses: process.run
    with: {command: [cat], input: {auc: 0.71}, idempotent: true}
`), builtin.Methods())
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := loader.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = loader.Stop(ctx) }()
	report, err := pipeline.Run(ctx, definition, pipeline.Options{Run: "run-1", Env: pipeline.Env{Invoker: loader}})
	if err != nil {
		fmt.Println(err)
		return
	}
	model, _ := report.Step("model")
	fmt.Println(model.Status, string(model.Output))
	// Output: succeeded {"auc":0.71}
}

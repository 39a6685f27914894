package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// factories returns the two components: points needs customers, so it is made after it, and
// stopped before it.
func factories() []component.Factory {
	return []component.Factory{
		{
			Name: "customers", Doc: "The database with the customers.",
			Maker: component.Make(openCustomers),
			Methods: []component.Callable{
				component.MethodOf("list", (*Customers).List),
				component.MethodOf("total", (*Customers).Total),
			},
		},
		{
			Name: "points", Doc: "Gives customers points for what they spent.", Needs: []string{"customers"},
			Maker: component.Make(func(_ context.Context, deps component.Deps, cfg PointsConfig) (*Points, error) {
				c, err := component.Get[*Customers](deps, "customers")
				return &Points{customers: c, each: cfg.Each}, err
			}),
			Methods: []component.Callable{component.MethodOf("give", (*Points).Give)},
		},
	}
}

// Customers is a database that perdure guards.
type Customers struct {
	manager *perdure.Manager
	db      *perdurepgx.DB
}

// CustomersConfig is the configuration of the component customers.
type CustomersConfig struct {
	URL string `json:"url" jsonschema:"connection URL"`
}

func openCustomers(ctx context.Context, _ component.Deps, cfg CustomersConfig) (*Customers, error) {
	pool, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, err
	}
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{Park: time.Minute}}) // an outage of a minute fails nothing
	if err != nil {
		return nil, err
	}
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
	return &Customers{m, db}, err
}

// Start makes the table in which Once keeps its keys.
func (c *Customers) Start(ctx context.Context) error { return c.db.Migrate(ctx) }

// Stop waits for open outcomes, and closes the pool.
func (c *Customers) Stop(ctx context.Context) error {
	err := c.manager.Close(ctx)
	c.db.Close()
	return err
}

// Names is the output of List.
type Names struct {
	Names []string `json:"names"`
}

// List returns the names of all customers.
func (c *Customers) List(ctx context.Context, _ struct{}) (Names, error) {
	op := perdure.Op{Name: "customers.list", ReadOnly: true}
	rows, err := c.db.Query(perdure.WithOp(ctx, op), "select name from customer order by name")
	if err != nil {
		return Names{}, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return Names{names}, err
}

// Total is the output of Total.
type Total struct {
	Points int64 `json:"points"`
}

// Total sums up the points of all customers.
func (c *Customers) Total(ctx context.Context, _ struct{}) (Total, error) {
	op := perdure.Op{Name: "customers.total", ReadOnly: true}
	var t Total
	err := c.db.QueryRow(perdure.WithOp(ctx, op), "select coalesce(sum(points), 0) from customer").Scan(&t.Points)
	return t, err
}

// Points gives points.
type Points struct {
	customers *Customers
	each      int
}

// PointsConfig is the configuration of the component points.
type PointsConfig struct {
	Each int `json:"each" jsonschema:"how much is to be spent for a point"`
}

// Customer names a customer.
type Customer struct {
	Name string `json:"name"`
}

// Give adds the points of a customer. Adding twice would be wrong, so it is an effect with a key:
// it happens once, whoever runs the step again, in whatever process.
func (p *Points) Give(ctx context.Context, in Customer) (Total, error) {
	op := pipeline.Op(ctx, perdure.Op{Name: "points.give"})
	return perdurepgx.Once(ctx, p.customers.db, op, pipeline.Key(ctx, "add"), func(ctx context.Context, tx pgx.Tx) (Total, error) {
		var t Total
		err := tx.QueryRow(ctx, "update customer set points = points + spent / $2 where name = $1 returning points", in.Name, p.each).Scan(&t.Points)
		if err != nil {
			return t, fmt.Errorf("customer %s: %w", in.Name, err)
		}
		return t, nil
	})
}

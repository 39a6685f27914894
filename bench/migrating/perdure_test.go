package migrating_test

import (
	"context"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/perdurepgx"
)

var addOrder = perdure.Op{Name: "orders.add"}

// perdureShop adds orders under perdure.
type perdureShop struct {
	m  *perdure.Manager
	db *perdurepgx.DB
}

func newPerdureShop(ctx context.Context, pool *pgxpool.Config) (*perdureShop, error) {
	m, err := perdure.New(perdure.Config{
		Name: "shop",
		Policy: perdure.Policy{
			MaxAttempts:    5,
			MaxElapsed:     time.Minute,
			AttemptTimeout: 10 * time.Second,
			Backoff:        backoff.Config{Max: 2 * time.Second},
		},
		Hooks: perdure.Hooks{
			BreakerChange: func(e perdure.BreakerEvent) {
				log.Printf("breaker of %s: %s, then %s", e.Operation, e.Change.From, e.Change.To)
			},
		},
	})
	if err != nil {
		return nil, err
	}
	db, err := perdurepgx.Open(ctx, pool, m, perdurepgx.Config{})
	if err != nil {
		return nil, err
	}
	return &perdureShop{m, db}, nil
}

func (s *perdureShop) add(ctx context.Context, owner string) error {
	return s.db.InTx(ctx, addOrder, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into orders (owner) values ($1)", owner)
		return err
	})
}

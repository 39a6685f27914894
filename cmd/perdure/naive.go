package main

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/avast/retry-go/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/examples/flights"
)

// howNaive says what the naive run is, wherever its figures are shown.
const howNaive = "pgx.BeginFunc in retry-go (github.com/avast/retry-go/v5), 3 attempts on any error, its default delays"

// naive runs each transaction as most programs do: pgx.BeginFunc inside a retry
// library, three attempts on any error. It is the same pipeline with the same
// SQL, the same tables and the same parallelism. A batch that fails three times
// is logged and skipped, as loaders do; a step without batches that fails three
// times ends the run.
type naive struct {
	pool    *pgxpool.Pool
	calls   atomic.Int64
	retries atomic.Int64
	gaveUp  atomic.Int64
}

var _ flights.Runner = (*naive)(nil)

func newNaive(ctx context.Context, cfg *pgxpool.Config) (*naive, error) {
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &naive{pool: pool}, nil
}

// Effect runs fn in a transaction, three times at most.
func (n *naive) Effect(ctx context.Context, op perdure.Op, _ string, fn flights.Transaction) (rows int64, err error) {
	err = n.try(ctx, func() error {
		return pgx.BeginFunc(ctx, n.pool, func(tx pgx.Tx) error {
			rows, err = fn(ctx, tx)
			return err
		})
	})
	if err != nil && batched(op) && ctx.Err() == nil {
		n.gaveUp.Add(1)
		return 0, nil
	}
	return rows, err
}

// Read runs fn on the pool, three times at most.
func (n *naive) Read(ctx context.Context, _ perdure.Op, fn func(ctx context.Context, q flights.Querier) error) error {
	return n.try(ctx, func() error { return fn(ctx, n.pool) })
}

func (n *naive) try(ctx context.Context, fn func() error) error {
	n.calls.Add(1)
	tries := int64(0)
	defer func() { n.retries.Add(max(0, tries-1)) }()
	return retry.New(retry.Attempts(3), retry.Context(ctx), retry.LastErrorOnly(true)).Do(func() error {
		tries++
		return fn()
	})
}

func (n *naive) copyTo(r *runReport) {
	r.Calls, r.Retries, r.GaveUp = n.calls.Load(), n.retries.Load(), n.gaveUp.Load()
}

// batched reports whether op is one of many of its kind.
func batched(op perdure.Op) bool {
	for _, name := range []string{"airports", "load", "reject", "predict"} {
		if strings.HasSuffix(op.Name, "."+name) {
			return true
		}
	}
	return false
}

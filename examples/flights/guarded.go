package flights

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// Guarded runs the transactions of the pipeline with perdure: each effect has a
// key and happens once, whatever is run again.
type Guarded struct{ DB *perdurepgx.DB }

var _ Runner = Guarded{}

// Effect runs fn once, under the key of the task and name.
func (g Guarded) Effect(ctx context.Context, op perdure.Op, name string, fn Transaction) (int64, error) {
	return perdurepgx.Once(ctx, g.DB, pipeline.Op(ctx, op), pipeline.Key(ctx, name), func(ctx context.Context, tx pgx.Tx) (int64, error) {
		return fn(ctx, tx)
	})
}

// Read runs fn in a read-only transaction: its op says so.
func (g Guarded) Read(ctx context.Context, op perdure.Op, fn func(ctx context.Context, q Querier) error) error {
	return g.DB.InTx(ctx, pipeline.Op(ctx, op), pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, tx) })
}

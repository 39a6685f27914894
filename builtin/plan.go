package builtin

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// HoldPlan keeps the plan of a run beside the keys of its effects, for engines
// that remember nothing themselves: the first call with a run writes it, later ones hold their
// plan to it and return an error that is pipeline.ErrPlanChanged if it does something else.
func HoldPlan(ctx context.Context, db *perdurepgx.DB, p pipeline.Plan) error {
	// No key of an effect looks like this: they have a step.
	was, err := perdurepgx.Once(ctx, db, perdure.Op{Name: "pipeline.plan"}, p.Run+"/plan", func(context.Context, pgx.Tx) (pipeline.Plan, error) {
		return p, nil
	})
	if err != nil {
		return err
	}
	return was.Same(p)
}

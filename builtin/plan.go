package builtin

import (
	"context"
	"errors"

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

// errNotHeld ends the search for a plan that is not there, so that nothing is kept.
var errNotHeld = errors.New("no plan is kept of the run")

// HeldPlan returns the plan that HoldPlan keeps of a run in this database, and
// whether there is one. An engine that remembers a run which its database does
// not know is about to work on another database than the one the run was begun on.
func HeldPlan(ctx context.Context, db *perdurepgx.DB, run string) (p pipeline.Plan, held bool, err error) {
	p, err = perdurepgx.Once(ctx, db, perdure.Op{Name: "pipeline.plan"}, run+"/plan", func(context.Context, pgx.Tx) (pipeline.Plan, error) {
		return pipeline.Plan{}, errNotHeld
	})
	if errors.Is(err, errNotHeld) {
		return pipeline.Plan{}, false, nil
	}
	return p, err == nil, err
}

package perduretemporal_test

import (
	"context"

	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// What docs/engines-temporal.md shows compiles; without a server there is no output to compare.
var (
	_ = work
	_ = start
)

// work does tasks until ctx ends. How many workers there are, and on which
// machines, is nobody's business but Temporal's.
func work(ctx context.Context, loader *component.Loader) error {
	e, err := perduretemporal.Open(ctx, perduretemporal.Config{HostPort: "temporal.internal:7233"})
	if err != nil {
		return err
	}
	defer e.Close()
	w, err := perduretemporal.NewWorker(e, perduretemporal.WorkerConfig{Env: pipeline.Env{Invoker: loader}})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// start begins a run, wherever its workers are, and waits for its end.
func start(ctx context.Context, e *perduretemporal.Engine, plan pipeline.Plan) (pipeline.Report, error) {
	return e.Run(ctx, plan, pipeline.DurableOptions{})
}

package perduretemporal_test

import (
	"context"

	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// A worker does tasks until its context ends. How many there are, and on which
// machines, is nobody's business but Temporal's.
func ExampleNewWorker() {
	work := func(ctx context.Context, loader *component.Loader) error {
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
	_ = work
}

// Run begins the run, wherever its workers are, and waits for its end.
func ExampleEngine_Run() {
	start := func(ctx context.Context, e *perduretemporal.Engine, plan pipeline.Plan) (pipeline.Report, error) {
		return e.Run(ctx, plan, pipeline.DurableOptions{})
	}
	_ = start
}

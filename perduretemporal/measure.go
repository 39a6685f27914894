package perduretemporal

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure/perdure/pipeline"
)

// size is measured once and remembered in the history where it matters: what a
// compressor makes of the same bytes may change with its version.
func size(ctx workflow.Context, in taskInput) int {
	n := len(in.Plan.Params) + len(in.Task.Input.Params) + len(in.Task.Input.With) + len(in.Task.Input.Item) + len(in.Plan.Steps[0].With)
	for _, out := range in.Task.Input.Outputs { // a sum has no order
		n += len(out)
	}
	if n < maxState/2 {
		return n
	}
	var packed int
	err := workflow.SideEffect(ctx, func(workflow.Context) any {
		n, err := packedSize(in)
		if err != nil {
			return maxState + 1
		}
		return n
	}).Get(&packed)
	if err != nil {
		return maxState + 1
	}
	return packed
}

// failure is what an error of the activity itself means: a task that was
// canceled before a worker had it, for one.
func failure(err error) pipeline.Outcome {
	if canceled, ok := errors.AsType[*temporal.CanceledError](err); ok {
		err = canceled
	}
	return curb(pipeline.Outcome{Failure: &pipeline.Failure{Message: err.Error()}})
}

// label names a task for people, once among those that are at work.
func label(t pipeline.Task) string {
	switch {
	case t.Listing:
		return t.Step + "/items?"
	case t.Item != "":
		return t.Step + "/" + t.Item
	}
	return t.Step
}

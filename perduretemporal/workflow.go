package perduretemporal

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure/perdure/pipeline"
)

// errContinue is the cause of a run that goes on in another execution of the workflow.
var errContinue = errors.New("the history is long: the run is continued in a new execution")

// flow is the workflow, with what the process lends to plans whose steps are
// functions: none of them is called here.
type flow struct{ env pipeline.Env }

// run is one execution: a try of the run, or a part of one.
func (f flow) run(ctx workflow.Context, in input) (ending, error) {
	// The workflow's context is not the one that a pipeline is canceled by: this
	// one is canceled by the coroutine that waits, and starts no goroutine.
	going, cancel := context.WithCancelCause(context.Background()) //nolint:forbidigo // a workflow is handed none
	defer cancel(nil)
	e := newExecution(ctx, in, cancel)
	if err := workflow.SetQueryHandler(ctx, progressQuery, e.progress); err != nil {
		return ending{}, err
	}
	report, err := pipeline.RunPlan(going, in.Plan, pipeline.Options{
		Observe: e.observe, Earlier: in.Earlier, Env: f.env, Engine: e,
	})
	e.date(&report)
	end := ending{Report: report, Owner: e.owner}
	if failed, ok := errors.AsType[*pipeline.StepError](err); ok {
		end.Step, end.Item = failed.Step, failed.Item
	}
	switch cause := context.Cause(going); {
	case err == nil:
		return end, nil
	case errors.Is(cause, errContinue) && ctx.Err() == nil:
		return ending{}, workflow.NewContinueAsNewError(ctx, workflowName, e.carry())
	case end.Step != "":
		return ending{}, final(typeFailed, err, end)
	case ctx.Err() != nil:
		return ending{}, temporal.NewCanceledError(end)
	case errors.Is(cause, pipeline.ErrStopped):
		end.Report.Status = pipeline.StatusInterrupted
		if err := workflow.UpsertMemo(ctx, map[string]any{memoKey: memo{Pipeline: in.Plan.Pipeline, Try: in.Try, Started: e.started, Interrupted: true}}); err != nil {
			return ending{}, err
		}
		return ending{}, final(typeInterrupted, err, end)
	}
	return ending{}, final(typeRefused, err, end)
}

// final is the error that ends an execution for good.
func final(kind string, err error, end ending) error {
	return temporal.NewApplicationErrorWithOptions(head(err.Error(), maxMessage), kind, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{end},
	})
}

// progress answers the query.
func (e *execution) progress() (progress, error) {
	report, err := e.in.Plan.Report(e.started, e.in.Earlier, e.records)
	if err != nil {
		return progress{}, err
	}
	e.date(&report)
	return progress{Report: report, Steps: e.steps, Owner: e.owner}, nil
}

// observe keeps what the report does not say. It is called by the coroutine that
// decides.
func (e *execution) observe(ev pipeline.Event) {
	s := &e.steps[e.index[ev.Step]]
	switch ev.Kind {
	case pipeline.EventProgress:
		s.Done, s.Total, s.Item = ev.Done, ev.Total, ev.Item
	case pipeline.EventWaiting:
		s.Until, s.Item, s.Failure = ev.Until, ev.Item, ev.Failure
	case pipeline.EventStepEnded:
		*s = stepProgress{Done: ev.Done, Total: ev.Total}
	case pipeline.EventStepStarted: // its report says so
	}
}

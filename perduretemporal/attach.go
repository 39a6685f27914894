package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure/perdure/pipeline"
)

// patience is what is waited for beyond a heartbeat after a run was canceled.
const patience = 5 * time.Second

// attach waits for the end of a try, and lets ctx and Stop end it.
func (e *Engine) attach(ctx context.Context, run, runID string, o pipeline.DurableOptions) (pipeline.Report, error) {
	waiting, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	defer leave(nil)
	var beside sync.WaitGroup
	beside.Go(func() { e.relay(ctx, waiting, leave, run, o.Stop) })
	t := newTeller(o.Observe)
	if o.Observe != nil {
		beside.Go(func() { e.poll(waiting, run, t) })
	}
	end, err := e.wait(waiting, run, runID)
	leave(nil)
	beside.Wait()
	if end.Report.Run == "" { // it ended without a word, or was left
		return pipeline.Report{Run: run, Status: pipeline.StatusRunning}, err
	}
	t.tell(progress{Report: end.Report, Steps: make([]stepProgress, len(end.Report.Steps))})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = named(run, context.Cause(ctx))
	}
	return end.Report, err
}

// relay tells the run to end when ctx or stop say so, and gives up waiting for
// one that does not.
func (e *Engine) relay(ctx, waiting context.Context, leave context.CancelCauseFunc, run string, stop <-chan struct{}) {
	var late <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case <-stop:
			stop = nil
			e.ask(waiting, run, "stop", func(c context.Context) error { return e.client.SignalWorkflow(c, run, "", stopSignal, nil) })
		case <-done:
			done = nil
			timer := time.NewTimer(e.config.Heartbeat + patience)
			defer timer.Stop()
			late = timer.C
			e.ask(waiting, run, "cancel", func(c context.Context) error { return e.client.CancelWorkflow(c, run, "") })
		case <-late:
			leave(fmt.Errorf("run %s: %w; it was told to end, and has not yet", run, context.Cause(ctx)))
			return
		case <-waiting.Done():
			return
		}
	}
}

// ask sends a request to a run that may be over.
func (e *Engine) ask(ctx context.Context, run, what string, send func(context.Context) error) {
	limited, cancel := context.WithTimeout(ctx, e.config.Heartbeat)
	defer cancel()
	err := send(limited)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); err != nil && !gone && ctx.Err() == nil {
		e.log.WarnContext(ctx, "temporal: a request did not reach the run", slog.String("run", run), slog.String("request", what), slog.Any("error", err))
	}
}

// wait returns how a try ended, whatever happens to the server meanwhile.
func (e *Engine) wait(ctx context.Context, run, runID string) (ending, error) {
	for {
		var end ending
		err := e.client.GetWorkflow(ctx, run, runID).Get(ctx, &end)
		if err == nil {
			return end, nil
		}
		if _, over := errors.AsType[*temporal.WorkflowExecutionError](err); over {
			return read(run, err)
		}
		if ctx.Err() != nil {
			return ending{}, context.Cause(ctx)
		}
		if !passing(err) {
			return ending{}, named(run, err)
		}
		e.log.WarnContext(ctx, "temporal: the server does not answer, the run is waited for all the same", slog.String("run", run), slog.Any("error", err))
		if err := pause(ctx, e.config.Poll); err != nil {
			return ending{}, err
		}
	}
}

// passing reports whether the server may answer another time.
func passing(err error) bool {
	_, unavailable := errors.AsType[*serviceerror.Unavailable](err)
	_, exhausted := errors.AsType[*serviceerror.ResourceExhausted](err)
	_, late := errors.AsType[*serviceerror.DeadlineExceeded](err)
	_, internal := errors.AsType[*serviceerror.Internal](err)
	return unavailable || exhausted || late || internal || errors.Is(err, context.DeadlineExceeded)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read makes of the error that a try ended with what Run returns.
func read(run string, err error) (ending, error) {
	var end ending
	if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		if err := failed.Details(&end); err != nil {
			return ending{}, fmt.Errorf("run %s: %s, and how is not known: %w", run, failed.Message(), err)
		}
		switch step, _ := end.Report.Step(end.Step); {
		case failed.Type() == typeInterrupted:
			return end, named(run, pipeline.ErrStopped)
		case failed.Type() == typeFailed && step.Failure != nil:
			return end, &pipeline.StepError{Step: end.Step, Item: end.Item, Failure: step.Failure}
		}
		return end, fmt.Errorf("run %s: %s", run, failed.Message())
	}
	if canceled, ok := errors.AsType[*temporal.CanceledError](err); ok {
		if canceled.HasDetails() {
			if err := canceled.Details(&end); err != nil {
				return ending{}, fmt.Errorf("run %s was canceled, and how far it was is not known: %w", run, err)
			}
		}
		return end, fmt.Errorf("run %s was canceled: %w", run, context.Canceled)
	}
	if _, ok := errors.AsType[*temporal.TerminatedError](err); ok {
		return end, fmt.Errorf("run %s was terminated in Temporal: %w", run, context.Canceled)
	}
	return end, named(run, err)
}

package perduretemporal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure/perdure/pipeline"
)

const (
	// maxTasks is the most activities of a run at once. A server takes 2,000.
	maxTasks = 1000
	// longHistory and largeHistory are where a run is continued in a new execution
	// if the server does not say so before. A server ends what has 51,200 events or 50 MB.
	longHistory, largeHistory = 20_000, 16 << 20
	// noTimeout is what a step without a timeout gets: the server wants one.
	noTimeout = 10 * 365 * 24 * time.Hour
	// grace is what a step with a timeout gets besides, to end by itself.
	grace = time.Minute
)

// execution is the engine of one execution of the workflow: tasks are
// activities, waits are timers, and each is followed by a coroutine that tells
// how it ended. It belongs to the workflow's coroutines, of which one runs at a time.
type execution struct {
	in      input
	ctx     workflow.Context
	cancel  context.CancelCauseFunc // of the context that the pipeline runs under
	slots   workflow.Semaphore
	signals workflow.Channel
	stop    workflow.ReceiveChannel

	past    past
	now     time.Time // of the record that was told last; zero when they are over
	fresh   bool      // something happened in this execution
	started time.Time
	records []pipeline.Record
	kept    int
	owner   string
	begun   []began // when the steps that are not over began
	steps   []stepProgress
	index   map[string]int // of steps, by name
}

var _ pipeline.Engine = (*execution)(nil)

func newExecution(ctx workflow.Context, in input, cancel context.CancelCauseFunc) *execution {
	e := &execution{
		in: in, ctx: ctx, cancel: cancel, kept: in.Kept, owner: in.Owner, started: in.Started,
		slots:   workflow.NewSemaphore(ctx, maxTasks),
		signals: workflow.NewNamedChannel(ctx, "ended"),
		stop:    workflow.GetSignalChannel(ctx, stopSignal),
		past:    newPast(in.Records),
		steps:   make([]stepProgress, len(in.Plan.Steps)),
		index:   make(map[string]int, len(in.Plan.Steps)),
		begun:   slices.Clone(in.Began),
	}
	for i, s := range in.Plan.Steps {
		e.index[s.Name] = i
	}
	if e.started.IsZero() {
		e.started = workflow.Now(ctx)
	}
	if len(in.Records) > 0 {
		e.now = e.started
	}
	return e
}

// Now is the time of the workflow, which is the same when its history is replayed.
func (e *execution) Now() time.Time {
	if e.now.IsZero() {
		return workflow.Now(e.ctx)
	}
	return e.now
}

// Start schedules the activity, unless the task ended in an earlier execution.
func (e *execution) Start(_ context.Context, t pipeline.Task) {
	if e.past.begin(t, false) {
		return
	}
	if !slices.ContainsFunc(e.begun, func(b began) bool { return b.Step == t.Step }) {
		e.begun = append(e.begun, began{Step: t.Step, At: workflow.Now(e.ctx)})
	}
	workflow.GoNamed(e.ctx, label(t), func(ctx workflow.Context) {
		e.signals.Send(ctx, pipeline.Signal{Task: t, Outcome: e.execute(ctx, t)})
	})
}

// Wake sets a timer, unless the wait was over in an earlier execution.
func (e *execution) Wake(_ context.Context, t pipeline.Task, at time.Time) {
	if e.past.begin(t, true) {
		return
	}
	workflow.GoNamed(e.ctx, label(t)+" waits", func(ctx workflow.Context) {
		wait := workflow.NewTimerWithOptions(ctx, at.Sub(workflow.Now(ctx)), workflow.TimerOptions{Summary: label(t) + " is tried again"})
		if wait.Get(ctx, nil) == nil {
			e.signals.Send(ctx, pipeline.Signal{Task: t, Woke: true})
		}
	})
}

// Next tells first what happened in earlier executions. A context that cannot be
// canceled is that of a run which ends: what runs is then waited for.
func (e *execution) Next(ctx context.Context) (pipeline.Signal, error) {
	if r, t, ok := e.past.next(); ok {
		e.now = r.At
		e.records = append(e.records, r)
		return r.Signal(t), nil
	}
	ending := ctx.Done() == nil
	if !ending && e.fresh && long(e.ctx) {
		e.cancel(errContinue)
		return pipeline.Signal{}, errContinue
	}
	var s pipeline.Signal
	var stopped error
	wait := workflow.NewNamedSelector(e.ctx, "next")
	if !ending {
		wait.AddReceive(e.ctx.Done(), func(workflow.ReceiveChannel, bool) { stopped = context.Canceled })
		wait.AddReceive(e.stop, func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(e.ctx, nil)
			stopped = pipeline.ErrStopped
		})
	}
	wait.AddReceive(e.signals, func(c workflow.ReceiveChannel, _ bool) { c.Receive(e.ctx, &s) })
	wait.Select(e.ctx)
	e.fresh, e.now = true, time.Time{}
	if stopped != nil {
		e.cancel(stopped)
		return pipeline.Signal{}, stopped
	}
	e.records = append(e.records, pipeline.NewRecord(s, e.Now()))
	return s, nil
}

// long reports whether the history is long enough to leave it behind.
func long(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longHistory || info.GetCurrentHistorySize() > largeHistory
}

// execute runs the task as an activity and waits for it.
func (e *execution) execute(ctx workflow.Context, t pipeline.Task) pipeline.Outcome {
	if err := e.slots.Acquire(ctx, 1); err != nil {
		return failure(err)
	}
	defer e.slots.Release(1)
	in := taskInput{Plan: e.in.Plan.Only(t.Step), Task: t}
	if n := size(ctx, in); n > maxState {
		return pipeline.Outcome{Failure: &pipeline.Failure{
			Message: fmt.Sprintf("the input has %d bytes, compressed; Temporal passes on %d", n, maxState),
			Hint:    "let the steps before it put what is large in a table or a file, and its name in their outputs",
		}}
	}
	var r taskResult
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, e.options(t)), activityName, in).Get(ctx, &r); err != nil {
		return failure(err)
	}
	e.owner = r.Worker
	return e.keep(r)
}

// options: no error of the task is one of the activity, so that the attempts
// without limit are for lost workers alone.
func (e *execution) options(t pipeline.Task) workflow.ActivityOptions {
	o := workflow.ActivityOptions{
		ActivityID: fmt.Sprintf("%s#%d", label(t), t.Attempt), Summary: label(t),
		StartToCloseTimeout: noTimeout, HeartbeatTimeout: e.in.Heartbeat, WaitForCancellation: true,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second},
	}
	if step := e.in.Plan.Steps[e.index[t.Step]]; step.Timeout > 0 {
		o.StartToCloseTimeout = step.Timeout + grace
	}
	return o
}

// keep counts what the run has to carry along, and refuses what is too much.
func (e *execution) keep(r taskResult) pipeline.Outcome {
	if e.kept+r.Size <= maxState {
		e.kept += r.Size
		return r.Outcome
	}
	if f := r.Outcome.Failure; f != nil { // why it failed is worth less than that it did
		return pipeline.Outcome{Failure: &pipeline.Failure{
			Message: head(f.Message, 100), Reason: f.Reason, SQLState: f.SQLState, Again: f.Again, RetryAt: f.RetryAt,
		}}
	}
	return pipeline.Outcome{Failure: &pipeline.Failure{
		Message: fmt.Sprintf("the output has %d bytes, compressed, and the run has %d already: Temporal passes on %d in all", r.Size, e.kept, maxState),
		Hint:    "put what is large in a table or a file, and its name in the output",
	}}
}

package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure/perdure/pipeline"
)

// WorkerConfig says what a worker works with.
type WorkerConfig struct {
	// Env is what the steps are run with. It must do the same as that of every
	// other worker of the task queue. Its Progress is not called.
	Env pipeline.Env
	// Parallel is the most tasks at once. Zero means 16.
	Parallel int
	// Drain is how long tasks may go on when Run is to end. Those that do not end
	// in it are canceled, and run again by another worker. Zero means 30s, negative not at all.
	Drain time.Duration
}

const (
	// farewell is what a canceled task and its last word to the server may take.
	farewell = 10 * time.Second
	// deadlock is how long deciding may take. A pipeline of a thousand steps takes a
	// tenth of a second, on a machine that has nothing else to do.
	deadlock = 30 * time.Second
)

// Worker does the work of one process: it decides what runs are to do next, and
// runs their tasks. Its Run may be called once.
type Worker struct {
	engine *Engine
	config WorkerConfig
	beats  recorder
	dying  context.Context // ends when tasks must
	kill   context.CancelCauseFunc
}

// NewWorker returns a worker on the connection of an engine, which must not be
// closed before Run has returned. It does no I/O.
func NewWorker(e *Engine, c WorkerConfig) (*Worker, error) {
	if c.Parallel < 0 {
		return nil, fmt.Errorf("parallel: %d is negative", c.Parallel)
	}
	if c.Parallel == 0 {
		c.Parallel = 16
	}
	if c.Drain == 0 {
		c.Drain = 30 * time.Second
	}
	dying, kill := context.WithCancelCause(context.Background()) //nolint:forbidigo // it belongs to no call: Run ends it
	return &Worker{engine: e, config: c, beats: e.client, dying: dying, kill: kill}, nil
}

// Run works until ctx ends: then it takes no more tasks, waits for those that
// run (see WorkerConfig.Drain) and returns nil. The error is of a server that cannot be
// reached at the start, or that refuses this worker.
func (w *Worker) Run(ctx context.Context) error {
	sdk := worker.New(w.engine.client, w.engine.config.TaskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: w.config.Parallel,
		WorkerStopTimeout:                  max(w.config.Drain, 0) + farewell,
		DeadlockDetectionTimeout:           deadlock,
		Identity:                           w.engine.identity,
		DisableRegistrationAliasing:        true,
	})
	sdk.RegisterWorkflowWithOptions(flow{env: w.config.Env}.run, workflow.RegisterOptions{Name: workflowName})
	sdk.RegisterActivityWithOptions(w.task, activity.RegisterOptions{Name: activityName})

	stop := make(chan any)
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(ctx, stop) })
	err := sdk.Run(stop)
	w.kill(errDraining)
	watching.Wait()
	return err
}

// watch closes stop when ctx ends, and ends the tasks when they have had their time.
func (w *Worker) watch(ctx context.Context, stop chan<- any) {
	select {
	case <-ctx.Done():
	case <-w.dying.Done():
	}
	close(stop)
	timer := time.NewTimer(max(w.config.Drain, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		w.kill(errDraining)
	case <-w.dying.Done():
	}
}

// task is the activity: one try of a task, on this worker. An error tells
// Temporal that this worker did not finish it; a task that failed is none.
func (w *Worker) task(ctx context.Context, in taskInput) (taskResult, error) {
	info := activity.GetInfo(ctx)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(w.dying, func() { end(errDraining) })() //nolint:contextcheck // of the worker, which outlives its tasks

	p := &pulse{to: w.beats, token: info.TaskToken, timeout: info.HeartbeatTimeout}
	beating, still := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.run(beating, end)
	}()
	env := w.config.Env
	env.Progress = p.progress
	o := curb(env.Execute(ctx, in.Plan, in.Task))
	still()
	<-stopped

	if cause := context.Cause(ctx); o.Failure != nil && cause != nil && !errors.Is(cause, errCanceled) && !temporal.IsCanceledError(cause) {
		return taskResult{}, temporal.NewApplicationErrorWithOptions(cause.Error(), "perdure.Abandoned",
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Millisecond, Category: temporal.ApplicationErrorCategoryBenign})
	}
	size, err := packedSize(o)
	if err != nil {
		return taskResult{}, err
	}
	return taskResult{Outcome: o, Worker: w.engine.identity, Size: size}, nil
}

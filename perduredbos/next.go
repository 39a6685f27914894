package perduredbos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/perdure/perdure/pipeline"
)

const (
	stepBegin = "begin" // its output is the time at which the try began
	stepNext  = "next"  // its output is what ended, as a list of records
	// mostRecords bounds what one step of DBOS stores: with the largest outputs, 6 MiB.
	mostRecords = 64
)

// checkpointed is the engine of one run, whose Next is stored. All its methods
// are called by the one goroutine of pipeline.RunPlan.
type checkpointed struct {
	d      dbos.Context // of the workflow
	ctx    context.Context
	cancel context.CancelCauseFunc // of ctx
	stop   <-chan struct{}
	inbox  *inbox

	now     time.Time
	open    []pipeline.Task // handed over and without a record
	fresh   []handed        // those of them that nothing was done for yet
	running int             // tasks that were begun and have not ended
	queue   []arrival       // to be returned by Next
	live    bool            // the past is over: what comes now ended in this process
	broken  error           // nothing more can be stored
}

// handed is a task that was handed to Start, or to Wake.
type handed struct {
	task pipeline.Task
	ctx  context.Context //nolint:containedctx // the task is begun with it, later
	wake bool
	at   time.Time
}

var _ pipeline.Engine = (*checkpointed)(nil)

// begin reads, or stores, the time at which the try began.
func (e *checkpointed) begin() error {
	at, err := dbos.RunAsStep(e.d, func(context.Context) (time.Time, error) {
		return time.Now().UTC().Round(0), nil
	}, dbos.WithStepName(stepBegin))
	e.now = at
	return err
}

// Start does nothing yet: what has a record is not begun again, and whether it
// has one is known in Next.
func (e *checkpointed) Start(ctx context.Context, t pipeline.Task) {
	e.open = append(e.open, t)
	e.fresh = append(e.fresh, handed{task: t, ctx: ctx})
}

func (e *checkpointed) Wake(ctx context.Context, t pipeline.Task, at time.Time) {
	e.open = append(e.open, t)
	e.fresh = append(e.fresh, handed{task: t, ctx: ctx, wake: true, at: at})
}

// Now is the time of the last signal that was returned: the same whenever the run is replayed.
func (e *checkpointed) Now() time.Time { return e.now }

func (e *checkpointed) Next(ctx context.Context) (pipeline.Signal, error) {
	for {
		if len(e.queue) > 0 {
			a := e.queue[0]
			e.queue = e.queue[1:]
			e.now = a.at
			return a.signal, nil
		}
		if ctx.Err() != nil {
			return pipeline.Signal{}, context.Cause(ctx)
		}
		if e.broken != nil {
			arrivals, _ := e.wait(ctx)
			e.queue = arrivals
			continue
		}
		e.advance(ctx)
	}
}

// advance makes the one step of DBOS: it returns what was stored of it, or waits and stores.
func (e *checkpointed) advance(ctx context.Context) {
	var arrivals []arrival
	live := false
	records, err := dbos.RunAsStep(e.d, func(context.Context) ([]pipeline.Record, error) {
		live = true
		var keep []pipeline.Record
		arrivals, keep = e.wait(ctx)
		return keep, nil
	}, dbos.WithStepName(stepNext))
	switch {
	case err != nil || live:
	case e.live:
		// The record is another process's, which has the run now. To follow it would be to hear of
		// tasks twice that are at work here.
		err = errForeign
	default:
		arrivals, err = e.recall(records)
	}
	e.live = e.live || live
	if err != nil {
		e.broken = err
		e.cancel(err)
	}
	e.queue = arrivals
}

// wait begins what is fresh and waits for at least one arrival. Those to keep are returned as
// records too: when the run is canceled, what that did to a task is not kept, so that
// it is begun again when the run is gone on with.
func (e *checkpointed) wait(ctx context.Context) ([]arrival, []pipeline.Record) {
	if e.running == 0 && isClosed(e.stop) {
		e.cancel(pipeline.ErrStopped) // nothing is at work here, and nothing shall be
	}
	if dropped := e.release(); len(dropped) > 0 {
		return dropped, nil
	}
	arrivals := e.inbox.take(ctx, mostRecords)
	canceled := e.ctx.Err() != nil
	var keep []pipeline.Record
	for _, a := range arrivals {
		e.forget(a.signal.Task)
		if !a.signal.Woke {
			e.running--
		}
		if canceled && (a.signal.Woke || a.signal.Outcome.Failure != nil) {
			continue
		}
		keep = append(keep, pipeline.NewRecord(a.signal, a.at))
	}
	return arrivals, keep
}

// release begins what is fresh. If the run is canceled it begins nothing, and
// returns that as ended.
func (e *checkpointed) release() (dropped []arrival) {
	fresh := e.fresh
	e.fresh = nil
	for _, h := range fresh {
		switch {
		case h.wake && e.ctx.Err() == nil:
			e.inbox.wake(h.task, h.at)
		case h.wake: // nobody waits for it
		case e.ctx.Err() == nil:
			e.running++
			e.inbox.start(h.ctx, h.task)
		default:
			e.forget(h.task)
			o := pipeline.Outcome{Failure: pipeline.NewFailure(context.Cause(e.ctx))}
			dropped = append(dropped, arrival{pipeline.Signal{Task: h.task, Outcome: o}, e.now})
		}
	}
	return dropped
}

// recall makes signals of records.
func (e *checkpointed) recall(records []pipeline.Record) ([]arrival, error) {
	arrivals := make([]arrival, 0, len(records))
	for _, r := range records {
		i := slices.IndexFunc(e.open, r.Of)
		if i < 0 {
			return arrivals, fmt.Errorf("a record of step %s, index %d, attempt %d is of no task that was begun", r.Step, r.Index, r.Attempt)
		}
		arrivals = append(arrivals, arrival{r.Signal(e.open[i]), r.At})
		e.forget(e.open[i])
	}
	return arrivals, nil
}

// forget takes a task out of those that are open, and out of the fresh ones.
func (e *checkpointed) forget(t pipeline.Task) {
	of := pipeline.NewRecord(pipeline.Signal{Task: t}, time.Time{})
	e.open = slices.DeleteFunc(e.open, of.Of)
	e.fresh = slices.DeleteFunc(e.fresh, func(h handed) bool { return of.Of(h.task) })
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c: // a nil channel never is
		return true
	default:
		return false
	}
}

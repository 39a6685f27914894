package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrStopped is the cause of a run that ended because Options.Stop was closed.
var ErrStopped = errors.New("run stopped")

// Engine runs the tasks of one run: where and how is its own business, and so
// is remembering. [Run] makes every call from one goroutine, in an order that
// depends only on the signals which Next returned before; an engine that keeps
// those can replay a run.
type Engine interface {
	// Start begins the task, which calls its Execute, and returns at once.
	Start(ctx context.Context, t Task)
	// Wake lets Next return the task at the given time. Nothing is held until then.
	Wake(ctx context.Context, t Task, at time.Time)
	// Next waits for the next task that ended or woke. It returns an error only
	// when ctx is done.
	Next(ctx context.Context) (Signal, error)
	// Now is the time that goes into the report.
	Now() time.Time
}

// Signal is what an engine tells: a task ended, or its wait is over.
type Signal struct {
	Task    Task
	Woke    bool
	Outcome Outcome // unless Woke
}

// Options of a run.
type Options struct {
	// Run is the name of the run, the first part of all its keys: 1–100 of
	// [A-Za-z0-9._-]. The same name again means the same run.
	Run string
	// Params are handed to all steps, as JSON.
	Params any
	// Parallel replaces Definition.Parallel unless it is zero.
	Parallel int
	// Observe is told what happens, one event at a time, from several
	// goroutines. It must not block. Nil means nobody is.
	Observe func(Event)
	// Stop, when closed, lets running tasks end and starts no other. Nil means
	// that only the context stops a run.
	Stop <-chan struct{}
	// Earlier is the report of an earlier try of the same run. Its steps that
	// succeeded or were omitted are not run again: what it says of them is taken
	// over. Nil means that there was none.
	Earlier *Report
	// Env is what steps without a function are run with.
	Env Env
	// Engine runs the tasks. Nil means an [Inline] engine.
	Engine Engine
}

// Run runs the definition to its end and reports. When a step fails, those that
// need it are skipped and the others go on. When ctx is done, what runs is
// canceled through its own context, and Run returns when all of it has ended.
//
// The error is nil if every step succeeded, a [*StepError] if one failed, the
// cause of ctx or [ErrStopped] if the run was stopped. A definition that is
// not valid runs nothing.
//
// Unless Options.Stop is set, Run starts no goroutine of its own, and it takes
// the time from the engine alone, so that an engine may call it where it must be
// deterministic.
func Run(ctx context.Context, d Definition, o Options) (Report, error) {
	if o.Parallel > 0 {
		d.Parallel = o.Parallel
	}
	if err := d.Validate(); err != nil {
		return Report{}, err
	}
	plan, err := d.Freeze(o.Run, o.Params)
	if err != nil {
		return Report{}, err
	}
	e := o.Engine
	if e == nil {
		inline := NewInline()
		defer inline.Close()
		e = inline
	}
	l := loop{s: newSchedule(d, plan), e: e, watch: newWatcher(o.Observe), env: o.Env, plan: &plan}
	l.s.remember(o.Earlier)
	started := e.Now()
	err = l.run(ctx, o.Stop)
	return l.s.report(plan, started, e.Now(), err), err
}

// RunPlan is [Run] for a plan that was frozen before, perhaps by another process:
// its run, its parameters and its steps are what is run, and Options.Run and
// Options.Params are not used. Steps whose work is a function take it from Env.Pipeline.
func RunPlan(ctx context.Context, p Plan, o Options) (Report, error) {
	o.Run, o.Params = p.Run, p.Params
	return Run(ctx, o.Env.definition(p), o)
}

// loop is the one goroutine that makes decisions.
type loop struct {
	s     *schedule
	e     Engine
	watch *watcher
	env   Env
	plan  *Plan
}

func (l *loop) run(ctx context.Context, stop <-chan struct{}) error {
	going, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if stop != nil {
		watching := make(chan struct{})
		go func() {
			defer close(watching)
			select {
			case <-stop:
				cancel(ErrStopped)
			case <-going.Done():
			}
		}()
		defer func() { cancel(nil); <-watching }()
	}

	for {
		if going.Err() == nil {
			l.start(ctx)
		}
		if l.s.running == 0 && (going.Err() != nil || l.s.idle()) {
			break
		}
		wait := going
		if going.Err() != nil {
			wait = context.WithoutCancel(ctx) // what runs is waited for, always
		}
		sig, err := l.e.Next(wait)
		if err != nil {
			continue // stopped: the next turn sees it
		}
		l.take(ctx, sig)
	}
	for _, st := range l.s.cancel(l.e.Now()) {
		l.watch.ended(st, l.e.Now())
	}
	switch {
	case l.s.failed != nil:
		return l.s.failed
	case l.s.unfinished():
		return fmt.Errorf("pipeline %s: %w", l.s.run, context.Cause(going))
	}
	return nil
}

func (l *loop) start(ctx context.Context) {
	for _, st := range l.s.prepare(l.e.Now()) {
		l.watch.ended(st, l.e.Now())
	}
	for {
		t, first, ok := l.s.begin(l.e.Now())
		if !ok {
			return
		}
		t.progress, t.step, t.env, t.plan = l.watch.progress, l.s.steps[t.at].def, l.env, l.plan
		if first {
			l.watch.send(Event{Kind: EventStepStarted, At: l.e.Now(), Step: t.Step, Status: StatusRunning})
		}
		l.e.Start(ctx, t)
	}
}

func (l *loop) take(ctx context.Context, sig Signal) {
	now := l.e.Now()
	st := l.s.steps[l.s.index[sig.Task.Step]]
	sig.Task.at = st.at // an engine may have kept only the JSON
	var ended []*stepState
	if sig.Woke {
		ended = l.s.woke(sig.Task, now)
	} else {
		var again time.Time
		again, ended = l.s.end(sig.Task, sig.Outcome, now, ctx.Err() != nil)
		if !again.IsZero() {
			l.watch.send(Event{
				Kind: EventWaiting, At: now, Step: sig.Task.Step, Item: sig.Task.Item,
				Until: again, Failure: sig.Outcome.Failure, Status: StatusRunning,
			})
			l.e.Wake(ctx, sig.Task, again)
		} else if sig.Outcome.Failure == nil && st.listed {
			l.watch.send(Event{
				Kind: EventProgress, At: now, Step: sig.Task.Step, Item: sig.Task.Item,
				Done: st.done, Total: len(st.outputs), Status: StatusRunning,
			})
		}
	}
	for _, st := range ended {
		l.watch.ended(st, now)
	}
}

func (s *schedule) idle() bool {
	for _, st := range s.steps {
		if st.waiting > 0 && st.failure == nil {
			return false
		}
	}
	return true
}

func (s *schedule) unfinished() bool {
	for _, st := range s.steps {
		if st.status == StatusCanceled {
			return true
		}
	}
	return false
}

// open reports whether a step has not ended.
func (s *schedule) open() bool {
	for _, st := range s.steps {
		if !final(st.status) {
			return true
		}
	}
	return false
}

func (s *schedule) report(p Plan, started, now time.Time, err error) Report {
	r := Report{Pipeline: p.Pipeline, Run: p.Run, Status: StatusSucceeded, Started: started, Duration: now.Sub(started)}
	switch {
	case s.failed != nil:
		r.Status = StatusFailed
	case err != nil:
		r.Status = StatusCanceled
	}
	for _, st := range s.steps {
		if st.earlier != nil {
			r.Steps = append(r.Steps, *st.earlier)
			continue
		}
		sr := StepReport{
			Name: st.def.Name, Status: st.status, Started: st.started, Attempts: st.attempts,
			Items: len(st.outputs), Output: st.output, Failure: st.failure,
		}
		if !st.started.IsZero() {
			sr.Duration = st.ended.Sub(st.started)
		}
		r.Steps = append(r.Steps, sr)
	}
	return r
}

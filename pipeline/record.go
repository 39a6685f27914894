package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Record is a [Signal] as an engine keeps it: which task it was, and what came of
// it. The records of a run in their order say all that happened in it (see [Plan.Report]).
type Record struct {
	At      time.Time `json:"at"`
	Step    string    `json:"step"`
	Listing bool      `json:"listing,omitempty"`
	Index   int       `json:"index,omitempty"`
	Attempt int       `json:"attempt"`
	Woke    bool      `json:"woke,omitempty"`
	Outcome Outcome   `json:"outcome,omitzero"` // unless Woke
}

// NewRecord returns the record of a signal that came at that time.
func NewRecord(s Signal, at time.Time) Record {
	return Record{At: at, Step: s.Task.Step, Listing: s.Task.Listing, Index: s.Task.Index, Attempt: s.Task.Attempt, Woke: s.Woke, Outcome: s.Outcome}
}

// Of reports whether the record is of that task.
func (r Record) Of(t Task) bool {
	return r.Step == t.Step && r.Listing == t.Listing && r.Index == t.Index && r.Attempt == t.Attempt
}

// Signal returns the signal that was recorded of the task.
func (r Record) Signal(t Task) Signal { return Signal{Task: t, Woke: r.Woke, Outcome: r.Outcome} }

// Report returns how far a run of the plan came that started then, by the
// records that were kept of it: steps that are at work are running, and those behind them pending.
// Records that do not fit the plan are an error. earlier is as in Options.
func (p Plan) Report(started time.Time, earlier *Report, records []Record) (Report, error) {
	e := &replay{now: started}
	l := loop{s: newSchedule(p.Definition(), p), e: e, watch: newWatcher(nil), plan: &p}
	l.s.remember(earlier)
	ctx := context.Background() //nolint:forbidigo // nothing here waits or is canceled
	for _, r := range records {
		l.start(ctx)
		t, err := e.task(r)
		if err != nil {
			return Report{}, fmt.Errorf("run %s: %w", p.Run, err)
		}
		l.take(ctx, r.Signal(t))
	}
	l.start(ctx)
	report := l.s.report(p, started, e.now, nil)
	if l.s.open() {
		report.Status = StatusRunning
	}
	return report, nil
}

// replay is an engine whose tasks were run before.
type replay struct {
	now   time.Time
	tasks []Task
}

func (e *replay) Start(_ context.Context, t Task)             { e.tasks = append(e.tasks, t) }
func (e *replay) Wake(_ context.Context, t Task, _ time.Time) { e.tasks = append(e.tasks, t) }
func (e *replay) Next(context.Context) (Signal, error)        { return Signal{}, ErrStopped }
func (e *replay) Now() time.Time                              { return e.now }

// task returns the one that the record is of, and the time goes on.
func (e *replay) task(r Record) (Task, error) {
	i := slices.IndexFunc(e.tasks, r.Of)
	if i < 0 {
		return Task{}, fmt.Errorf("a record of step %s, index %d, attempt %d is of no task that was begun", r.Step, r.Index, r.Attempt)
	}
	t := e.tasks[i]
	e.tasks = slices.Delete(e.tasks, i, i+1)
	e.now = r.At
	return t, nil
}

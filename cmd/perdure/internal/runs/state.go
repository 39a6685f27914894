package runs

import (
	"sync"
	"time"

	"github.com/perdure/perdure/pipeline"
)

// maxWaits bounds the waits that are kept of a step.
const maxWaits = 64

// state is a run as its events have left it.
type state struct {
	begin Begin
	index map[string]int // of steps

	mu      sync.Mutex // guards the fields below
	run     Run
	steps   []Step
	last    time.Time // when something was told
	current int       // index of the step that began last, -1 for none
}

func newState(b Begin) *state {
	s := &state{
		begin: b, index: make(map[string]int, len(b.Plan.Steps)), steps: make([]Step, len(b.Plan.Steps)), current: -1,
		run: Run{
			Name: b.Plan.Run, Pipeline: b.Plan.Pipeline, Engine: b.Engine, Status: pipeline.StatusRunning,
			How: b.How, Try: b.Try, Started: b.At, Counts: Counts{Pending: len(b.Plan.Steps)},
		},
	}
	for i := range b.Plan.Steps {
		s.index[b.Plan.Steps[i].Name] = i
		s.steps[i] = Step{Name: b.Plan.Steps[i].Name, Status: pipeline.StatusPending, Items: hasItems(b.Plan.Steps[i])}
	}
	return s
}

func hasItems(s pipeline.PlanStep) bool { return s.Items || len(s.ForEach) > 0 }

// take takes an event in and returns the step as it then is; false if there is
// none of that name.
func (s *state) take(e pipeline.Event) (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, known := s.index[e.Step]
	if !known {
		return Step{}, false
	}
	st := &s.steps[i]
	s.last = e.At
	st.Attempts = max(st.Attempts, e.Attempts)
	switch e.Kind {
	case pipeline.EventStepStarted:
		s.become(st, pipeline.StatusRunning)
		st.Started, s.current = e.At, i
	case pipeline.EventProgress:
		if e.Parts == st.Items {
			break // the parts of one item say nothing of the step
		}
		st.Done, st.Total = e.Done, e.Total
	case pipeline.EventWaiting:
		st.Failure = failureOf(e.Failure)
		if st.Until = later(st.Until, e.Until); !st.Items {
			st.wait(Wait{From: e.At, To: e.Until})
		}
	case pipeline.EventStepEnded:
		s.become(st, e.Status)
		st.end(e.At)
		if e.Total > 0 {
			st.Done, st.Total = e.Done, e.Total
		}
		st.Failure = failureOf(e.Failure)
	}
	return st.copied(), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// become changes the status of a step, and what is counted.
func (s *state) become(st *Step, status pipeline.Status) {
	*s.run.Counts.of(st.Status)--
	*s.run.Counts.of(status)++
	st.Status = status
}

// end takes over what the run reports, which knows all of it.
func (s *state) end(r pipeline.Report, at time.Time) {
	for _, sr := range r.Steps {
		i, known := s.index[sr.Name]
		if !known {
			continue
		}
		st := &s.steps[i]
		s.become(st, sr.Status)
		st.Started, st.Attempts, st.Failure = sr.Started, sr.Attempts, failureOf(sr.Failure)
		switch {
		case sr.Status == pipeline.StatusRunning || sr.Status == pipeline.StatusPending:
		case sr.Started.IsZero():
			st.end(at)
		default:
			st.end(sr.Started.Add(sr.Duration))
		}
		if sr.Items > 0 && sr.Status == pipeline.StatusSucceeded {
			st.Done, st.Total = sr.Items, sr.Items
		}
	}
}

// end ends a step, and what it waited for.
func (st *Step) end(at time.Time) {
	st.Ended, st.Until = at, time.Time{}
	for i := range st.Waits {
		if st.Waits[i].To.After(at) {
			st.Waits[i].To = at
		}
	}
}

// wait notes a wait. Of too many, the two that are closest become one.
func (st *Step) wait(w Wait) {
	if n := len(st.Waits); n > 0 && st.Waits[n-1].To.After(w.From) {
		st.Waits[n-1].To = w.From
	}
	st.Waits = append(st.Waits, w)
	if len(st.Waits) <= maxWaits {
		return
	}
	closest := 1
	for i := 2; i < len(st.Waits); i++ {
		if st.gap(i) < st.gap(closest) {
			closest = i
		}
	}
	st.Waits[closest-1].To = st.Waits[closest].To
	st.Waits = append(st.Waits[:closest], st.Waits[closest+1:]...)
}

// gap is the time between a wait and the one before it.
func (st *Step) gap(i int) time.Duration { return st.Waits[i].From.Sub(st.Waits[i-1].To) }

func (st *Step) copied() Step {
	c := *st
	c.Waits = append([]Wait(nil), st.Waits...)
	return c
}

// view returns the run as it is now.
func (s *state) view(now time.Time) Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run
	if r.Status != pipeline.StatusRunning {
		return r
	}
	if s.current >= 0 {
		r.Current = s.currentName()
	}
	r.Repeats = s.repeats()
	for i := range s.steps {
		st := &s.steps[i]
		if st.Status != pipeline.StatusRunning {
			continue
		}
		if r.Parked += st.Parked; st.Parked > 0 && (r.ParkedSince.IsZero() || st.ParkedSince.Before(r.ParkedSince)) {
			r.ParkedFor, r.ParkedSince = st.ParkedFor, st.ParkedSince
		}
		if st.Until.After(now) && (r.Until.IsZero() || st.Until.Before(r.Until)) {
			r.Until = st.Until
		}
		if st.Waiting(now) {
			r.Waits++
		}
	}
	return r
}

func (s *state) repeats() (n uint64) {
	for i := range s.steps {
		n += s.steps[i].Repeats
	}
	return n
}

// currentName is the step that began last and still runs, else any that does.
func (s *state) currentName() string {
	if st := &s.steps[s.current]; st.Status == pipeline.StatusRunning {
		return st.Name
	}
	for i := range s.steps {
		if s.steps[i].Status == pipeline.StatusRunning {
			return s.steps[i].Name
		}
	}
	return ""
}

// all returns copies of the steps, in the order of the definition.
func (s *state) all() []Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Step, len(s.steps))
	for i := range s.steps {
		out[i] = s.steps[i].copied()
	}
	return out
}

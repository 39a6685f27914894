package runs

import (
	"errors"
	"time"

	"github.com/perdure/perdure/pipeline"
)

// How says how a process came to work on a run.
type How uint8

// The ways.
const (
	Anew      How = iota // nobody had begun it
	Resumed              // it is gone on with
	TakenOver            // it is gone on with, though another process seemed to be at work on it
)

// String is the way in lower case: begun, resumed or taken over.
func (h How) String() string { return [...]string{"begun", "resumed", "taken over"}[h] }

// Begin is what is known of a run when this process begins to work on it.
type Begin struct {
	Plan   pipeline.Plan
	Engine string // inline, dbos, temporal
	How    How
	// Try counts how often the run was begun. Zero means 1.
	Try int
	// At is when. Zero means now.
	At time.Time
}

// Watched is a run of this process that is watched. Observe may be called
// concurrently with everything but End.
type Watched struct {
	*state

	registry *Registry
	sinks    []Sink
}

// Watch begins to watch a run: the registry shows it, and the sinks are told
// what happens in it. A nil registry shows nothing; a nil sink is told nothing.
func Watch(b Begin, registry *Registry, sinks ...Sink) *Watched {
	if b.At.IsZero() {
		b.At = time.Now()
	}
	b.Try = max(b.Try, 1)
	w := &Watched{state: newState(b), registry: registry, sinks: sinks}
	registry.add(w.state)
	w.tell(Note{Kind: Begun, At: b.At, How: b.How, Steps: len(b.Plan.Steps), Status: pipeline.StatusRunning})
	return w
}

// Observe is for pipeline.Options.Observe and pipeline.DurableOptions.Observe.
// What happened before this process began to work on the run is shown, and told
// nobody: it was when it happened.
func (w *Watched) Observe(e pipeline.Event) {
	st, known := w.take(e)
	if !known || w.begin.How != Anew && e.At.Before(w.begin.At) {
		return
	}
	n := Note{At: e.At, Step: e.Step, Status: e.Status, Attempts: st.Attempts, Failure: st.Failure}
	switch e.Kind {
	case pipeline.EventProgress:
		return
	case pipeline.EventStepStarted:
		n.Kind = StepStarted
	case pipeline.EventWaiting:
		n.Kind, n.Until = StepWaits, e.Until
	case pipeline.EventStepEnded:
		n.Kind, n.Took = StepEnded, st.Took(e.At)
		if st.Items {
			n.Items = st.Total
		}
	}
	w.tell(n)
}

// End ends the watching, with what the run returned. A run that another process
// is at work on is not this process's, and is shown no longer.
func (w *Watched) End(r pipeline.Report, err error) {
	now := time.Now()
	run := w.over(r, err, now)
	if errors.Is(err, pipeline.ErrRunning) {
		w.registry.remove(w.state)
	} else {
		w.registry.ended()
	}
	w.tell(Note{
		Kind: Ended, At: now, Status: run.Status, Took: run.Took(now), Remembered: run.Remembered, Failure: run.Failure,
		Steps: len(w.begin.Plan.Steps),
	})
}

// tell tells all sinks.
func (w *Watched) tell(n Note) {
	p := &w.begin.Plan
	n.Pipeline, n.Run, n.Engine, n.Try = p.Pipeline, p.Run, w.begin.Engine, w.begin.Try
	for _, sink := range w.sinks {
		if sink != nil {
			sink(n)
		}
	}
}

// over ends the run.
func (s *state) over(r pipeline.Report, err error, now time.Time) Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(r, now)
	s.run.Ended, s.run.Status, s.run.Failure = now, r.Status, failureOfRun(err)
	s.run.Repeats = s.repeats()
	switch {
	case errors.Is(err, pipeline.ErrStopped):
		s.run.Failure = nil // somebody wanted it
		if s.begin.Engine != Inline {
			s.run.Status = pipeline.StatusInterrupted
		}
	case s.run.Status != "" && s.run.Status != pipeline.StatusRunning:
	case err == nil:
		s.run.Status = pipeline.StatusSucceeded
	default:
		s.run.Status = pipeline.StatusFailed // before its first step
	}
	// A run that has succeeded before is not run again: its report is that of then.
	if s.run.Status == pipeline.StatusSucceeded && s.last.IsZero() && r.Started.Before(s.begin.At) && len(r.Steps) > 0 {
		s.run.Remembered = true
		s.run.Started, s.run.Ended = r.Started, r.Started.Add(r.Duration)
	}
	for i := range s.steps { // what the report did not know of
		if st := &s.steps[i]; st.Status == pipeline.StatusRunning || st.Status == pipeline.StatusPending {
			s.become(st, pipeline.StatusCanceled)
			st.end(now)
		}
		s.steps[i].Parked = 0
	}
	return s.run
}

// Inline is the name of the engine that remembers nothing.
const Inline = "inline"

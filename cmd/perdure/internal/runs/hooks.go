package runs

import (
	"context"
	"slices"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pipeline"
)

// Hooks tell which steps wait for a database, and which repeat, by the calls
// that are made within them. A call that needs neither costs nothing. Give them
// to every Manager that guards the work of runs.
func (r *Registry) Hooks() perdure.Hooks {
	return perdure.Hooks{
		Parked: func(ctx context.Context, e perdure.ParkEvent) {
			r.step(ctx, func(st *Step) { st.park(e.For, time.Now()) })
		},
		Released: func(ctx context.Context, _ perdure.ParkEvent) {
			r.step(ctx, func(st *Step) { st.release(time.Now()) })
		},
		Repeat: func(ctx context.Context, _ perdure.RepeatEvent) context.Context {
			r.step(ctx, func(st *Step) { st.Repeats++ })
			return ctx
		},
	}
}

// step finds the step that ctx belongs to.
func (r *Registry) step(ctx context.Context, do func(*Step)) {
	run := pipeline.RunName(ctx)
	if run == "" {
		return
	}
	r.mu.Lock()
	i := slices.IndexFunc(r.runs, func(s *state) bool { return s.run.Name == run && !s.isOver() })
	var s *state
	if i >= 0 {
		s = r.runs[i]
	}
	r.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, known := s.index[pipeline.StepName(ctx)]; known {
		do(&s.steps[k])
	}
}

// park notes that one more call waits.
func (st *Step) park(why string, now time.Time) {
	if st.Parked++; st.Parked == 1 {
		st.ParkedFor, st.ParkedSince = why, now
	}
}

// release notes that one less does.
func (st *Step) release(now time.Time) {
	if st.Parked == 0 { // it began to wait before the run was watched
		return
	}
	if st.Parked--; st.Parked == 0 {
		st.wait(Wait{From: st.ParkedSince, To: now, For: st.ParkedFor})
		st.ParkedFor, st.ParkedSince = "", time.Time{}
	}
}

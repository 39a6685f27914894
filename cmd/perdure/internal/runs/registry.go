package runs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/pipeline"
)

// What the Registry keeps.
const (
	maxEnded   = 50
	maxSteps   = 20_000 // of ended runs together
	maxAtWork  = 100
	maxListed  = 100 // of runs that an engine remembers
	askTimeout = 2 * time.Second
)

// Registry holds the runs of this process, and asks an engine for those that it
// remembers. It is safe for concurrent use.
type Registry struct {
	mu       sync.Mutex // guards the fields below
	runs     []*state   // in the order in which they began
	unshown  uint64     // runs for which there was no room
	engine   pipeline.Durable
	recalled []Run     // of the engine, as of asked
	asked    time.Time // the engine, for the last time
	asking   bool
}

// NewRegistry returns a Registry without runs.
func NewRegistry() *Registry { return &Registry{} }

// Remember shows also the runs that an engine remembers. Nil shows them no longer.
func (r *Registry) Remember(engine pipeline.Durable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.engine, r.asked = engine, time.Time{}
	if engine == nil {
		r.recalled = nil
	}
}

// add shows a run, in the place of an older one of that name.
func (r *Registry) add(s *state) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = slices.DeleteFunc(r.runs, func(o *state) bool { return o.run.Name == s.run.Name && o.isOver() })
	atWork := 0
	for _, o := range r.runs {
		if !o.isOver() {
			atWork++
		}
	}
	if atWork >= maxAtWork {
		r.unshown++
		return
	}
	r.runs = append(r.runs, s)
}

// remove shows a run no longer.
func (r *Registry) remove(s *state) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = slices.DeleteFunc(r.runs, func(o *state) bool { return o == s })
}

// ended forgets the oldest runs that are over, as far as there are too many.
func (r *Registry) ended() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var over []*state
	for _, s := range r.runs {
		if s.isOver() {
			over = append(over, s)
		}
	}
	slices.SortStableFunc(over, func(a, b *state) int { return b.endedAt().Compare(a.endedAt()) })
	steps := 0
	forget := map[*state]bool{}
	for i, s := range over {
		if steps += len(s.steps); i > 0 && (i >= maxEnded || steps > maxSteps) { // the last one is always shown
			forget[s] = true
		}
	}
	r.runs = slices.DeleteFunc(r.runs, func(s *state) bool { return forget[s] })
}

func (s *state) isOver() bool { return !s.endedAt().IsZero() }

func (s *state) endedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.Ended
}

// own returns the runs of this process.
func (r *Registry) own() []*state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.runs)
}

// Unshown is how many runs this process worked on for which there was no room.
func (r *Registry) Unshown() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unshown
}

// List returns the runs that are known: those at work first, then the others,
// each the newest first. What the engine remembers is asked for, unless it was
// within the last two seconds; it has two seconds to answer, and the error is
// then that it did not, beside what there is.
func (r *Registry) List(ctx context.Context) ([]Run, error) {
	now := time.Now()
	var out []Run
	known := map[string]bool{}
	for _, s := range r.own() {
		run := s.view(now)
		known[run.Name] = true
		out = append(out, run)
	}
	recalled, err := r.recall(ctx, now)
	for _, run := range recalled {
		if !known[run.Name] {
			out = append(out, run)
		}
	}
	slices.SortStableFunc(out, func(a, b Run) int {
		return cmp.Or(cmp.Compare(atWork(b), atWork(a)), b.Started.Compare(a.Started))
	})
	return out, err
}

func atWork(r Run) int {
	if r.Status == pipeline.StatusRunning {
		return 1
	}
	return 0
}

// recall returns what the engine remembers, as it last said. One caller at a
// time asks it; the others do not wait.
func (r *Registry) recall(ctx context.Context, now time.Time) ([]Run, error) {
	r.mu.Lock()
	if r.engine == nil || r.asking || now.Sub(r.asked) < askTimeout {
		defer r.mu.Unlock()
		return r.recalled, nil
	}
	r.asking = true
	engine := r.engine
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	infos, err := engine.List(ctx, maxListed)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking, r.asked = false, time.Now()
	if err == nil && r.engine == engine {
		r.recalled = r.recalled[:0:0]
		for i := range infos {
			r.recalled = append(r.recalled, ofInfo(&infos[i]))
		}
	}
	return r.recalled, err
}

// Show returns a run with its steps, in the order of the definition. A run that
// nobody knows is pipeline.ErrNoRun.
func (r *Registry) Show(ctx context.Context, name string) (Run, []Step, error) {
	own := r.own()
	for _, s := range slices.Backward(own) {
		if s.run.Name == name { // it never changes
			return s.view(time.Now()), s.all(), nil
		}
	}
	r.mu.Lock()
	engine := r.engine
	r.mu.Unlock()
	if engine == nil {
		return Run{}, nil, pipeline.ErrNoRun
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	info, err := engine.Show(ctx, name)
	if err != nil {
		return Run{}, nil, err
	}
	run := ofInfo(&info)
	return run, stepsOf(&info, &run), nil
}

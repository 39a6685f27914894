package pipeline

import (
	"encoding/json"
	"fmt"
	"time"
)

// schedule decides which task is next. It is a pure state machine: the same
// outcomes in the same order give the same tasks in the same order, which is
// what an engine that replays a run relies on.
type schedule struct {
	run      string
	params   json.RawMessage
	parallel int
	running  int
	steps    []*stepState
	index    map[string]int
	ready    []int      // steps that may begin, to be prepared
	failed   *StepError // the first
}

type stepState struct {
	def       *Step
	wiring    wiring
	at        int
	listing   bool // its items are listed by a function
	status    Status
	needs     int   // that have not succeeded yet
	users     []int // steps that need this one
	ancestors []int // all that it needs, directly or through others, in order
	tasks     []Task
	next      int // of tasks, never begun
	again     []Task
	running   int
	waiting   int // for another try
	done      int // tasks that succeeded, listing apart
	listed    bool
	attempts  int
	outputs   []json.RawMessage
	output    json.RawMessage
	failure   *Failure
	started   time.Time
	ended     time.Time
	earlier   *StepReport // of the try that ended it, if that was not this one
}

func newSchedule(d Definition, p Plan) *schedule {
	s := &schedule{run: p.Run, params: p.Params, parallel: d.Parallel, index: make(map[string]int, len(d.Steps))}
	if s.parallel == 0 {
		s.parallel = 4
	}
	for i := range d.Steps {
		w := d.wire(i, ignoreFault)
		s.index[d.Steps[i].Name] = i
		s.steps = append(s.steps, &stepState{def: &d.Steps[i], wiring: w, at: i, listing: p.Steps[i].Items, status: StatusPending, needs: len(w.needs)})
	}
	for i, st := range s.steps {
		for _, need := range st.wiring.needs {
			j := s.index[need]
			s.steps[j].users = append(s.steps[j].users, i)
		}
		if st.needs == 0 {
			s.ready = append(s.ready, i)
		}
		if st.def.Do == nil && st.def.Items == nil {
			continue // it reads what its texts refer to
		}
		above := make(map[int]bool)
		s.climb(i, above)
		for j := range s.steps {
			if above[j] {
				st.ancestors = append(st.ancestors, j)
			}
		}
	}
	return s
}

// remember takes over what is final of an earlier try, before anything begins.
func (s *schedule) remember(r *Report) {
	if r == nil {
		return
	}
	for _, was := range r.Steps {
		i, known := s.index[was.Name]
		if !known || was.Status != StatusSucceeded && was.Status != StatusOmitted {
			continue
		}
		st := s.steps[i]
		st.status, st.earlier, st.output = was.Status, &was, was.Output
		if len(st.output) == 0 {
			st.output = json.RawMessage("null")
		}
		for _, j := range st.users {
			s.steps[j].needs--
		}
	}
	s.ready = s.ready[:0]
	for i, st := range s.steps {
		if st.needs == 0 && st.status == StatusPending {
			s.ready = append(s.ready, i)
		}
	}
}

func (s *schedule) climb(i int, above map[int]bool) {
	for _, need := range s.steps[i].wiring.needs {
		if j := s.index[need]; !above[j] {
			above[j] = true
			s.climb(j, above)
		}
	}
}

// prepare gives the steps whose needs are done their tasks, and returns those
// that ended by that: their condition is false or has failed, or there are no items.
func (s *schedule) prepare(now time.Time) []*stepState {
	var ended []*stepState
	for len(s.ready) > 0 {
		st := s.steps[s.ready[0]]
		s.ready = s.ready[1:]
		if err := s.arm(st); err != nil {
			s.fail(st, "", NewFailure(err))
			st.started = now
		}
		if st.status == StatusOmitted || st.failure != nil || len(st.tasks) == 0 {
			ended = append(ended, s.settle(st, now)...)
		}
	}
	return ended
}

// arm decides whether and for what a step runs. It depends on the parameters and
// on outputs alone.
func (s *schedule) arm(st *stepState) error {
	in := s.input(st)
	b, err := Input{Params: s.params, Outputs: s.outputs(st)}.bindings(s.run)
	if err != nil {
		return err
	}
	if st.wiring.cond != nil {
		holds, err := st.wiring.cond.holds(b)
		if err != nil {
			return fmt.Errorf("when: %w", err)
		}
		if !holds {
			st.status, st.output = StatusOmitted, json.RawMessage("null")
			return nil
		}
	}
	if st.def.ForEach == nil {
		st.tasks = []Task{{Run: s.run, Step: st.def.Name, Listing: st.listing, Input: in, at: st.at}}
		return nil
	}
	list, err := b.resolve(st.def.ForEach)
	if err == nil {
		var items []Item
		if items, err = itemsOf(list); err == nil {
			s.spread(st, in, items)
		}
	}
	if err != nil {
		return fmt.Errorf("foreach: %w", err)
	}
	return nil
}

// outputs are those that the condition and the list of items may refer to.
func (s *schedule) outputs(st *stepState) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(st.wiring.refs))
	for step := range st.wiring.refs {
		out[step] = s.steps[s.index[step]].output
	}
	return out
}

// input is what the tasks of a step get: functions all that is above them, the
// others what their texts refer to.
func (s *schedule) input(st *stepState) Input {
	in := Input{Params: s.params, With: st.def.With}
	give := func(j int) {
		if in.Outputs == nil {
			in.Outputs = make(map[string]json.RawMessage)
		}
		in.Outputs[s.steps[j].def.Name] = s.steps[j].output
	}
	for _, j := range st.ancestors {
		give(j)
	}
	for _, step := range st.wiring.reads {
		give(s.index[step])
	}
	return in
}

// begin returns the next task that may run now and counts it as running.
func (s *schedule) begin(now time.Time) (t Task, first, ok bool) {
	if s.running >= s.parallel {
		return Task{}, false, false
	}
	for _, st := range s.steps {
		if st.def.Parallel > 0 && st.running >= st.def.Parallel || st.failure != nil {
			continue
		}
		switch {
		case len(st.again) > 0:
			t, st.again = st.again[0], st.again[1:]
		case st.next < len(st.tasks):
			t = st.tasks[st.next]
			st.next++
		default:
			continue
		}
		t.Attempt++
		st.attempts++
		st.running++
		s.running++
		if first = st.status == StatusPending; first {
			st.status, st.started = StatusRunning, now
		}
		return t, first, true
	}
	return Task{}, false, false
}

// end takes the outcome of a task that began. It returns when the task shall be
// tried again, or the zero time, and the steps whose status is now final. After
// the run was canceled, an error is what the cancelation did.
func (s *schedule) end(t Task, o Outcome, now time.Time, canceled bool) (again time.Time, ended []*stepState) {
	st := s.steps[t.at]
	st.running--
	s.running--
	switch {
	case o.Failure == nil:
		o.Failure = s.accept(st, t, o)
	case canceled:
		if st.failure == nil {
			st.failure = o.Failure
		}
		return time.Time{}, nil
	case o.Failure.Again && t.Attempt < st.def.Attempts && st.failure == nil:
		st.waiting++
		return retryTime(o.Failure, st.def.Delay, now), nil
	}
	if o.Failure != nil {
		s.fail(st, t.Item, o.Failure)
	}
	return time.Time{}, s.settle(st, now)
}

func (s *schedule) fail(st *stepState, item string, f *Failure) {
	if st.failure == nil {
		st.failure = f
	}
	if s.failed == nil {
		s.failed = &StepError{Step: st.def.Name, Item: item, Failure: f}
	}
}

// accept takes a success. It fails if what the items returned is too large
// together.
func (s *schedule) accept(st *stepState, t Task, o Outcome) *Failure {
	if t.Listing {
		return s.list(st, t, o.Output)
	}
	st.done++
	if !st.listed {
		st.output = o.Output
		return nil
	}
	st.outputs[t.Index] = o.Output
	if st.done < len(st.outputs) {
		return nil
	}
	raw, err := encode(st.outputs)
	if err != nil {
		return NewFailure(err)
	}
	st.output = raw
	return nil
}

func (s *schedule) list(st *stepState, t Task, raw json.RawMessage) *Failure {
	var items []Item
	if err := json.Unmarshal(raw, &items); err != nil {
		return NewFailure(err)
	}
	s.spread(st, t.Input, items)
	return nil
}

// spread makes a task of each item.
func (s *schedule) spread(st *stepState, in Input, items []Item) {
	st.listed = true
	st.outputs = make([]json.RawMessage, len(items))
	st.tasks, st.next = make([]Task, len(items)), 0
	for i, item := range items {
		in.Item = item.Value
		st.tasks[i] = Task{Run: s.run, Step: st.def.Name, Item: item.Name, Index: i, Input: in, at: st.at}
	}
	if len(items) == 0 {
		st.output = json.RawMessage("[]")
	}
}

// settle ends the step if nothing of it runs or is to run, and frees or skips
// the steps that need it.
func (s *schedule) settle(st *stepState, now time.Time) []*stepState {
	if st.running > 0 || final(st.status) && st.status != StatusOmitted {
		return nil
	}
	switch {
	case st.status == StatusOmitted: // those that need it go on
	case st.failure != nil:
		st.status = StatusFailed
	case st.next < len(st.tasks) || len(st.again) > 0 || st.waiting > 0:
		return nil
	default:
		st.status = StatusSucceeded
	}
	st.ended = now
	if st.status == StatusSucceeded && st.started.IsZero() { // it had no items
		st.started = now
	}
	ended := []*stepState{st}
	for _, j := range st.users {
		user := s.steps[j]
		if st.status != StatusFailed {
			if user.needs--; user.needs == 0 && user.status == StatusPending {
				s.ready = append(s.ready, j)
			}
			continue
		}
		ended = append(ended, s.skip(user)...)
	}
	return ended
}

func (s *schedule) skip(st *stepState) []*stepState {
	if st.status != StatusPending {
		return nil
	}
	st.status = StatusSkipped
	ended := []*stepState{st}
	for _, j := range st.users {
		ended = append(ended, s.skip(s.steps[j])...)
	}
	return ended
}

// woke puts a task whose wait is over back in line.
func (s *schedule) woke(t Task, now time.Time) []*stepState {
	st := s.steps[t.at]
	st.waiting--
	st.again = append(st.again, t)
	return s.settle(st, now)
}

// cancel ends every step that has not ended, after a stop.
func (s *schedule) cancel(now time.Time) []*stepState {
	var ended []*stepState
	for _, st := range s.steps {
		if final(st.status) {
			continue
		}
		if st.status == StatusRunning {
			st.ended = now
		}
		st.status = StatusCanceled
		ended = append(ended, st)
	}
	return ended
}

func final(s Status) bool { return s != StatusPending && s != StatusRunning }

func retryTime(f *Failure, delay time.Duration, now time.Time) time.Time {
	if f.RetryAt.After(now) {
		return f.RetryAt
	}
	if delay == 0 {
		delay = time.Second
	}
	return now.Add(delay)
}

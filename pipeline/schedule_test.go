package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perdure/perdure"
)

// drawEngine ends one of the running tasks at a time, chosen by rapid, and
// passes every signal through JSON, as an engine that remembers would.
type drawEngine struct {
	t       *rapid.T
	now     time.Time
	running []Task
	asleep  []Task
	began   []Task // all, in order
	ended   []Task // all that succeeded, in order
	most    int
	steps   map[string]Step
	done    map[string]int // successes of a step's tasks, without listing
	total   map[string]int
}

func (e *drawEngine) Now() time.Time { e.now = e.now.Add(time.Second); return e.now }

func (e *drawEngine) Start(_ context.Context, t Task) {
	for _, need := range e.steps[t.Step].Needs {
		if e.total[need] != e.done[need] || e.total[need] < 0 {
			e.t.Fatalf("%s began before %s had ended: %d of %d", t.Step, need, e.done[need], e.total[need])
		}
	}
	e.began = append(e.began, t)
	e.running = append(e.running, t)
	e.most = max(e.most, len(e.running))
	same := 0
	for _, r := range e.running {
		if r.Step == t.Step {
			same++
		}
	}
	if p := e.steps[t.Step].Parallel; p > 0 && same > p {
		e.t.Fatalf("%d tasks of %s run at once, want at most %d", same, t.Step, p)
	}
}

func (e *drawEngine) Wake(_ context.Context, t Task, at time.Time) {
	if !at.After(e.now) {
		e.t.Fatalf("wake at %v, which is not after %v", at, e.now)
	}
	e.asleep = append(e.asleep, t)
}

func (e *drawEngine) Next(ctx context.Context) (Signal, error) {
	i := rapid.IntRange(0, len(e.running)+len(e.asleep)-1).Draw(e.t, "next")
	var s Signal
	if i < len(e.running) {
		s = Signal{Task: e.running[i], Outcome: e.running[i].Execute(ctx)}
		e.running = slices.Delete(e.running, i, i+1)
		if s.Outcome.Failure == nil {
			e.ended = append(e.ended, s.Task)
			if s.Task.Listing {
				var items []Item
				if err := json.Unmarshal(s.Outcome.Output, &items); err != nil {
					e.t.Fatal(err)
				}
				e.total[s.Task.Step] = len(items)
			} else {
				e.done[s.Task.Step]++
			}
		}
	} else {
		i -= len(e.running)
		s = Signal{Task: e.asleep[i], Woke: true}
		e.asleep = slices.Delete(e.asleep, i, i+1)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		e.t.Fatal(err)
	}
	var back Signal
	if err := json.Unmarshal(raw, &back); err != nil {
		e.t.Fatal(err)
	}
	return back, nil
}

// TestScheduleProperties runs random graphs, with random items, failures and
// completion orders.
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "steps")
		tries := make(map[string]int) // of a task
		breaks := make(map[string]bool)
		e := &drawEngine{t: t, steps: make(map[string]Step), done: make(map[string]int), total: make(map[string]int)}
		d := Definition{Name: "p", Parallel: rapid.IntRange(1, 5).Draw(t, "parallel")}
		for i := range n {
			s := Step{Name: fmt.Sprintf("s%d", i), Attempts: rapid.IntRange(0, 3).Draw(t, "attempts")}
			for j := range i {
				if rapid.IntRange(0, 2).Draw(t, "need") == 0 {
					s.Needs = append(s.Needs, fmt.Sprintf("s%d", j))
				}
			}
			fails := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 99}).Draw(t, "fails")
			final := rapid.IntRange(0, 5).Draw(t, "final") == 0 && fails > 0
			breaks[s.Name] = fails > 0 && (final || fails >= max(1, s.Attempts))
			s.Do = func(ctx context.Context, _ Input) (any, error) {
				key := Key(ctx, "x")
				if tries[key]++; tries[key] <= fails {
					if final {
						return nil, errors.New("no")
					}
					return nil, &perdure.Error{Op: "x", Reason: perdure.ReasonExhausted, Err: errors.New("later")}
				}
				return key, nil
			}
			e.total[s.Name] = 1
			if rapid.Bool().Draw(t, "foreach") {
				items := rapid.IntRange(0, 4).Draw(t, "items")
				s.Parallel = rapid.IntRange(0, 2).Draw(t, "at once")
				breaks[s.Name] = breaks[s.Name] && items > 0
				e.total[s.Name] = -1
				s.Items = func(context.Context, Input) ([]Item, error) {
					list := make([]Item, items)
					for k := range list {
						list[k].Name = fmt.Sprintf("i%d", k)
					}
					return list, nil
				}
			}
			d.Steps = append(d.Steps, s)
			e.steps[s.Name] = s
		}
		// Definition order is not the order of the graph.
		d.Steps = rapid.Permutation(d.Steps).Draw(t, "order")

		r, err := Run(t.Context(), d, Options{Run: "r", Engine: e})
		wrong := false
		for _, sr := range r.Steps {
			want := StatusSucceeded
			if breaks[sr.Name] {
				want = StatusFailed
			}
			if below(sr.Name, e.steps, breaks) {
				want = StatusSkipped
			}
			if sr.Status != want {
				t.Errorf("step %s = %s, want %s", sr.Name, sr.Status, want)
			}
			wrong = wrong || want != StatusSucceeded
			if want == StatusSucceeded && (sr.Output == nil || e.done[sr.Name] != e.total[sr.Name]) {
				t.Errorf("step %s: %d of %d tasks, output %q", sr.Name, e.done[sr.Name], e.total[sr.Name], sr.Output)
			}
		}
		if (err != nil) != wrong {
			t.Errorf("Run = %v, want an error: %v", err, wrong)
		}
		if e.most > d.Parallel {
			t.Errorf("%d tasks ran at once, want at most %d", e.most, d.Parallel)
		}
		once := make(map[string]int)
		for _, task := range e.ended {
			once[fmt.Sprint(task.Step, task.Listing, task.Item)]++
		}
		for task, times := range once {
			if times != 1 {
				t.Errorf("task %s succeeded %d times", task, times)
			}
		}
	})
}

func below(name string, steps map[string]Step, breaks map[string]bool) bool {
	for _, need := range steps[name].Needs {
		if breaks[need] || below(need, steps, breaks) {
			return true
		}
	}
	return false
}

// TestACanceledStepIsNotDecidedByWhatStillRuns: a task failed because the run was
// canceled, another of the same step ended well after it. The step is canceled,
// and the run was stopped, whichever came first.
func TestACanceledStepIsNotDecidedByWhatStillRuns(t *testing.T) {
	d := Definition{Name: "p", Steps: []Step{{Name: "each", Uses: "x.y", ForEach: json.RawMessage(`["a","b"]`)}}}
	p, err := d.Freeze("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		e := &stopEngine{cancel: func() { cancel(stopped) }, order: order, outcomes: []Outcome{
			{Failure: &Failure{Message: "context canceled", Again: true}}, {Output: json.RawMessage("1")},
		}}
		report, err := RunPlan(ctx, p, Options{Engine: e})
		if !errors.Is(err, stopped) || report.Status != StatusCanceled || report.Steps[0].Status != StatusCanceled {
			t.Errorf("in the order %v: run %s, step %s, %v, want both canceled", order, report.Status, report.Steps[0].Status, err)
		}
	}
}

// stopEngine cancels the run when both tasks run, and then ends them in an order.
type stopEngine struct {
	cancel   func()
	tasks    []Task
	order    []int
	outcomes []Outcome
}

func (e *stopEngine) Start(_ context.Context, t Task)       { e.tasks = append(e.tasks, t) }
func (e *stopEngine) Wake(context.Context, Task, time.Time) {}
func (e *stopEngine) Now() time.Time                        { return time.Time{} }
func (e *stopEngine) Next(ctx context.Context) (Signal, error) {
	if ctx.Done() != nil {
		e.cancel()
		return Signal{}, context.Cause(ctx)
	}
	i := e.order[0]
	e.order = e.order[1:]
	return Signal{Task: e.tasks[i], Outcome: e.outcomes[i]}, nil
}

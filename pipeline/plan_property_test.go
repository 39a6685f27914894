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
)

// tape is an engine that ends one running task at a time, in an order that rapid
// draws, and remembers the signals; with signals of an earlier run it replays them and runs
// nothing.
type tape struct {
	t       *rapid.T
	now     time.Time
	running []Task
	asleep  []Task
	began   []string
	signals [][]byte
	replay  [][]byte
}

func (e *tape) Now() time.Time { e.now = e.now.Add(time.Second); return e.now }

func (e *tape) Start(_ context.Context, t Task) {
	e.began = append(e.began, fmt.Sprint(t.Step, "/", t.Item, "/", t.Attempt))
	e.running = append(e.running, t)
}

func (e *tape) Wake(_ context.Context, t Task, _ time.Time) { e.asleep = append(e.asleep, t) }

func (e *tape) Next(ctx context.Context) (Signal, error) {
	var raw []byte
	if len(e.replay) > 0 {
		raw, e.replay = e.replay[0], e.replay[1:]
	} else {
		i := rapid.IntRange(0, len(e.running)+len(e.asleep)-1).Draw(e.t, "next")
		var s Signal
		if i < len(e.running) {
			s = Signal{Task: e.running[i], Outcome: e.running[i].Execute(ctx)}
			e.running = slices.Delete(e.running, i, i+1)
		} else {
			i -= len(e.running)
			s = Signal{Task: e.asleep[i], Woke: true}
			e.asleep = slices.Delete(e.asleep, i, i+1)
		}
		var err error
		if raw, err = json.Marshal(s); err != nil {
			e.t.Fatal(err)
		}
	}
	e.signals = append(e.signals, raw)
	var s Signal
	if err := json.Unmarshal(raw, &s); err != nil {
		e.t.Fatal(err)
	}
	return s, nil
}

// drawn is a step as the model knows it.
type drawn struct {
	needs  []int
	over   int // the step whose output decides, or -1
	least  int // that its output must be above
	items  int // or -1
	value  int
	broken bool
	flaky  int // runs that say another try makes sense
}

// model says how each step of a graph in topological order ends, and with what value.
func model(steps []drawn, attempts int) (statuses []Status, values []int) {
	for _, s := range steps {
		status, value := StatusSucceeded, s.value
		for _, n := range s.needs {
			if statuses[n] == StatusFailed || statuses[n] == StatusSkipped {
				status = StatusSkipped
			}
		}
		if status == StatusSucceeded && s.over >= 0 && (statuses[s.over] == StatusOmitted || values[s.over] <= s.least) {
			status = StatusOmitted
		}
		if status == StatusSucceeded && (s.broken || s.flaky >= attempts) && s.items != 0 {
			status = StatusFailed
		}
		if s.items >= 0 {
			value = -1 // its output is a list, which has no v
		}
		statuses, values = append(statuses, status), append(values, value)
	}
	return statuses, values
}

// TestPlansEndAsTheModelSays runs random plans with conditions, items and
// failures, from their JSON, in random orders; a replay of the same signals begins the same tasks.
func TestPlansEndAsTheModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const attempts = 3
		n := rapid.IntRange(1, 8).Draw(t, "steps")
		steps := make([]drawn, n)
		d := Definition{Name: "p", Parallel: rapid.IntRange(1, 4).Draw(t, "parallel")}
		for i := range steps {
			s := drawn{over: -1, items: rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 3}).Draw(t, "items"), value: rapid.IntRange(0, 9).Draw(t, "value")}
			s.broken = rapid.IntRange(0, 7).Draw(t, "broken") == 0
			s.flaky = rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "flaky")
			def := Step{Name: fmt.Sprintf("s%d", i), Uses: "x.y", Attempts: attempts, With: json.RawMessage(fmt.Sprintf(`{"v":%d}`, s.value))}
			for j := range i {
				if rapid.IntRange(0, 2).Draw(t, "need") == 0 {
					s.needs = append(s.needs, j)
					def.Needs = append(def.Needs, fmt.Sprintf("s%d", j))
				}
			}
			if i > 0 && rapid.Bool().Draw(t, "when") {
				s.over, s.least = rapid.IntRange(0, i-1).Draw(t, "over"), rapid.IntRange(0, 9).Draw(t, "least")
				if steps[s.over].items >= 0 {
					s.over = -1
				} else {
					s.needs = append(s.needs, s.over) // implied
					def.When = fmt.Sprintf("steps.s%d.output != nil and steps.s%d.output.v > %d", s.over, s.over, s.least)
				}
			}
			if s.items >= 0 {
				list := make([]int, s.items)
				for k := range list {
					list[k] = k
				}
				raw, err := json.Marshal(list)
				if err != nil {
					t.Fatal(err)
				}
				def.ForEach = raw
			}
			steps[i] = s
			d.Steps = append(d.Steps, def)
		}
		runs := make(map[string]int)
		env := Env{Invoker: invokes(func(ctx context.Context, _ string, in json.RawMessage) (json.RawMessage, error) {
			var i int
			if _, err := fmt.Sscanf(StepName(ctx), "s%d", &i); err != nil {
				return nil, err
			}
			key := Key(ctx, "x")
			if runs[key]++; steps[i].broken {
				return nil, errors.New("broken")
			}
			if runs[key] <= steps[i].flaky {
				return nil, RetryAt(errors.New("flaky"), time.Time{})
			}
			return in, nil
		})}
		d.Steps = rapid.Permutation(d.Steps).Draw(t, "order")
		plan, err := d.Freeze("r", nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		var there Plan
		if err := json.Unmarshal(raw, &there); err != nil {
			t.Fatal(err)
		}
		first := &tape{t: t}
		r, runErr := Run(t.Context(), there.Definition(), Options{Run: "r", Engine: first, Env: env})
		statuses, _ := model(steps, attempts)
		wrong := false
		for _, s := range r.Steps {
			var i int
			if _, err := fmt.Sscanf(s.Name, "s%d", &i); err != nil {
				t.Fatal(err)
			}
			if s.Status != statuses[i] {
				t.Errorf("%s = %s, want %s (%+v)", s.Name, s.Status, statuses[i], s.Failure)
			}
			wrong = wrong || statuses[i] == StatusFailed
		}
		if (runErr != nil) != wrong {
			t.Errorf("Run = %v, want an error: %v", runErr, wrong)
		}
		again := &tape{t: t, replay: slices.Clone(first.signals)}
		nobody := Env{Invoker: invokes(func(context.Context, string, json.RawMessage) (json.RawMessage, error) {
			t.Fatal("a replay ran a step")
			return nil, nil
		})}
		second, _ := Run(t.Context(), there.Definition(), Options{Run: "r", Engine: again, Env: nobody})
		if !slices.Equal(first.began, again.began) || second.Status != r.Status {
			t.Errorf("a replay began %v and ended %s, the run %v and %s", again.began, second.Status, first.began, r.Status)
		}
	})
}

package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"github.com/perdure/perdure/pipeline"
)

// continued runs a plan to its end, through as many executions as it takes.
// after says after how many tasks of an execution its history is too long; zero means never.
func continued(tb testing.TB, d pipeline.Definition, in input, after func() int) (end ending, executions int, err error) {
	tb.Helper()
	for executions = 1; ; executions++ {
		if executions > 1000 {
			tb.Fatal("a run that is continued for ever")
		}
		limit, n := after(), 0
		var mu sync.Mutex
		env := environment(tb, d)
		env.SetOnActivityCompletedListener(func(_ *activity.Info, _ converter.EncodedValue, _ error) {
			mu.Lock()
			defer mu.Unlock()
			if n++; limit > 0 && n >= limit {
				env.SetContinueAsNewSuggested(true)
			}
		})
		env.ExecuteWorkflow(workflowName, in)
		next, is := errors.AsType[*workflow.ContinueAsNewError](env.GetWorkflowError())
		if !is {
			end, err = ended(tb, env)
			return end, executions, err
		}
		in = input{}
		if err := newConverter().FromPayloads(next.Input, &in); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestALongHistoryIsLeftBehindAndNothingIsRunAgain(t *testing.T) {
	var d diary
	var items []pipeline.Item
	for i := range 50 {
		item, err := pipeline.NewItem(fmt.Sprintf("i%02d", i), i)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		d.step("first"),
		{
			Name: "each", Needs: []string{"first"}, Attempts: 2,
			Items: func(context.Context, pipeline.Input) ([]pipeline.Item, error) { return items, nil },
			Do: func(_ context.Context, in pipeline.Input) (any, error) {
				d.add("each " + string(in.Item))
				return in.Item, nil
			},
		},
		d.step("last", "each"),
	}}
	end, executions, err := continued(t, def, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute}, func() int { return 7 })
	if err != nil {
		t.Fatal(err)
	}
	if executions < 5 {
		t.Errorf("%d executions, want several", executions)
	}
	slices.Sort(d.lines)
	if n := len(slices.Compact(slices.Clone(d.lines))); n != 52 || len(d.lines) != 52 {
		t.Errorf("%d tasks were run, %d of them different, want 52", len(d.lines), n)
	}
	each, _ := end.Report.Step("each")
	if each.Attempts != 51 || each.Items != 50 || !strings.HasPrefix(string(each.Output), "[0,1,2,3,") {
		t.Errorf("each = %d attempts, %d items, output %s, want 51, 50, the numbers in order", each.Attempts, each.Items, each.Output)
	}
	first, _ := end.Report.Step("first")
	if !end.Report.Started.Equal(first.Started) || each.Started.Before(first.Started) || end.Report.Duration < each.Duration {
		t.Errorf("run began %v for %v, first %v, each %v for %v", end.Report.Started, end.Report.Duration, first.Started, each.Started, each.Duration)
	}
}

// TestARunIsTheSameHoweverOftenItIsContinued compares random pipelines, whose
// tasks fail by a script, with the same ones in one execution.
func TestARunIsTheSameHoweverOftenItIsContinued(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g := script{fails: make(map[string]int), final: make(map[string]bool)}
		def := g.draw(r)
		in := input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute}
		once, _, onceErr := continued(t, def, in, func() int { return 0 })
		ran := g.reset()
		limit := rapid.IntRange(1, 6)
		often, _, oftenErr := continued(t, def, in, func() int { return limit.Draw(r, "limit") })
		again := g.reset()
		if (onceErr == nil) != (oftenErr == nil) {
			r.Fatalf("in one execution %v, in several %v", onceErr, oftenErr)
		}
		if onceErr != nil {
			return // which step fails first, and what is still begun, depends on time
		}
		if diff := cmp.Diff(ran, again); diff != "" {
			r.Fatalf("what was run (-in one execution +in several):\n%s", diff)
		}
		if diff := cmp.Diff(timeless(once.Report), timeless(often.Report)); diff != "" {
			r.Fatalf("report (-in one execution +in several):\n%s", diff)
		}
	})
}

// timeless is a report without its times.
func timeless(r pipeline.Report) pipeline.Report {
	r.Started, r.Duration = time.Time{}, 0
	r.Steps = slices.Clone(r.Steps)
	for i := range r.Steps {
		r.Steps[i].Started, r.Steps[i].Duration = time.Time{}, 0
	}
	return r
}

// script says how often each task fails, and whether for good.
type script struct {
	mu    sync.Mutex
	fails map[string]int
	final map[string]bool
	runs  map[string]int
}

func (g *script) reset() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.runs
	g.runs = nil
	return was
}

func (g *script) do(step string) pipeline.Func {
	return func(_ context.Context, in pipeline.Input) (any, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		name := step + string(in.Item)
		if g.runs == nil {
			g.runs = make(map[string]int)
		}
		g.runs[name]++
		switch err := fmt.Errorf("%s, run %d", name, g.runs[name]); {
		case g.final[name]:
			return nil, err
		case g.runs[name] <= g.fails[name]:
			return nil, pipeline.RetryAt(err, time.Now().Add(time.Duration(g.fails[name])*time.Hour))
		}
		return name, nil
	}
}

// draw makes a pipeline of some steps, each with items or none.
func (g *script) draw(r *rapid.T) pipeline.Definition {
	d := pipeline.Definition{Name: "p", Parallel: rapid.IntRange(1, 5).Draw(r, "parallel")}
	for i := range rapid.IntRange(1, 6).Draw(r, "steps") {
		s := pipeline.Step{Name: fmt.Sprintf("s%d", i), Attempts: 4}
		for j := range i {
			if rapid.IntRange(0, 2).Draw(r, "needs") == 0 {
				s.Needs = append(s.Needs, fmt.Sprintf("s%d", j))
			}
		}
		s.Do = g.do(s.Name)
		names := []string{s.Name}
		if rapid.Bool().Draw(r, "has items") {
			n := rapid.IntRange(0, 7).Draw(r, "items")
			s.Parallel = rapid.IntRange(0, 3).Draw(r, "parallel items")
			names = names[:0]
			for k := range n {
				names = append(names, fmt.Sprintf("%s%d", s.Name, k))
			}
			s.Items = func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
				items := make([]pipeline.Item, n)
				for k := range items {
					item, err := pipeline.NewItem(fmt.Sprintf("i%d", k), k)
					if err != nil {
						return nil, err
					}
					items[k] = item
				}
				return items, nil
			}
		}
		for _, name := range names {
			g.fails[name] = rapid.IntRange(0, 3).Draw(r, "fails")
			g.final[name] = rapid.IntRange(0, 40).Draw(r, "for good") == 0
		}
		d.Steps = append(d.Steps, s)
	}
	return d
}

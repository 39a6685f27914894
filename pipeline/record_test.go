package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/pipeline"
)

// recorder keeps what its engine tells, as an engine that remembers would.
type recorder struct {
	*pipeline.Inline

	now     time.Time
	records []pipeline.Record
}

func (r *recorder) Now() time.Time { return r.now }

func (r *recorder) Next(ctx context.Context) (pipeline.Signal, error) {
	s, err := r.Inline.Next(ctx)
	if err == nil {
		r.now = r.now.Add(time.Second)
		r.records = append(r.records, pipeline.NewRecord(s, r.now))
	}
	return s, err
}

// recorded is a pipeline of every kind of step: functions with listed items,
// one that fails once, an omitted step, and one that joins them.
func recorded() pipeline.Definition {
	tried := make(map[string]bool)
	return pipeline.Definition{Name: "recorded", Parallel: 1, Steps: []pipeline.Step{
		{Name: "list", Items: func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
			return []pipeline.Item{{Name: "a"}, {Name: "b"}}, nil
		}, Do: func(_ context.Context, in pipeline.Input) (any, error) { return 1, nil }},
		{Name: "again", Attempts: 2, Delay: time.Nanosecond, Do: func(context.Context, pipeline.Input) (any, error) {
			if !tried["again"] {
				tried["again"] = true
				return nil, pipeline.RetryAt(errors.New("not yet"), time.Time{})
			}
			return "done", nil
		}},
		{Name: "never", Needs: []string{"again"}, When: `steps.again.output == "no"`, Do: func(context.Context, pipeline.Input) (any, error) { return 0, nil }},
		{Name: "join", Needs: []string{"list", "never"}, Do: func(_ context.Context, in pipeline.Input) (any, error) {
			var list []int
			return len(list), in.Output("list", &list)
		}},
	}}
}

func TestReportOfRecordsIsTheReportOfTheRun(t *testing.T) {
	start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	d := recorded()
	e := &recorder{Inline: pipeline.NewInline(), now: start}
	want, err := pipeline.Run(t.Context(), d, pipeline.Options{Run: "r", Engine: e})
	e.Close()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := d.Freeze("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	plan = pipeline.Plan{}
	if err := json.Unmarshal(raw, &plan); err != nil { // as another process has it
		t.Fatal(err)
	}
	got, err := plan.Report(start, nil, e.records)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the report of the records differs from that of the run (-run +records):\n%s", diff)
	}
	for n := range e.records {
		part, err := plan.Report(start, nil, e.records[:n])
		if err != nil {
			t.Fatalf("after %d records: %v", n, err)
		}
		if part.Status != pipeline.StatusRunning {
			t.Errorf("after %d of %d records the status is %s, want running", n, len(e.records), part.Status)
		}
	}
	if _, err := plan.Report(start, nil, e.records[1:]); err == nil {
		t.Error("records without the first one are accepted")
	}
}

func TestEarlierStepsAreNotRunAgain(t *testing.T) {
	fail := true
	ran := make(map[string]int)
	count := func(name string, err func() error) pipeline.Func {
		return func(context.Context, pipeline.Input) (any, error) {
			ran[name]++
			return name, err()
		}
	}
	ok := func() error { return nil }
	d := pipeline.Definition{Name: "p", Parallel: 1, Steps: []pipeline.Step{
		{Name: "a", Do: count("a", ok)},
		{Name: "b", Needs: []string{"a"}, Do: count("b", func() error {
			if fail {
				return errors.New("broken")
			}
			return nil
		})},
		{Name: "c", Needs: []string{"a", "b"}, Do: func(_ context.Context, in pipeline.Input) (any, error) {
			var a string
			return a, in.Output("a", &a)
		}},
	}}
	first, err := pipeline.Run(t.Context(), d, pipeline.Options{Run: "r"})
	if err == nil {
		t.Fatal("the first try succeeded")
	}
	fail = false
	second, err := pipeline.Run(t.Context(), d, pipeline.Options{Run: "r", Earlier: &first})
	if err != nil {
		t.Fatal(err)
	}
	if ran["a"] != 1 || ran["b"] != 2 {
		t.Errorf("a ran %d times and b %d, want 1 and 2", ran["a"], ran["b"])
	}
	if was, now := first.Steps[0], second.Steps[0]; !cmp.Equal(was, now) {
		t.Errorf("step a is reported as %+v, want what the first try said: %+v", now, was)
	}
	if second.Status != pipeline.StatusSucceeded {
		t.Errorf("status %s, want succeeded", second.Status)
	}
}

func TestExecuteRunsATaskThatWasJSON(t *testing.T) {
	d := recorded()
	plan, err := d.Freeze("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	env := pipeline.Env{Pipeline: func(name string) (pipeline.Definition, bool) { return d, name == d.Name }}
	listing := env.Execute(t.Context(), plan.Only("list"), pipeline.Task{Run: "r", Step: "list", Listing: true, Attempt: 1})
	if got, want := string(listing.Output), `[{"name":"a"},{"name":"b"}]`; got != want || listing.Failure != nil {
		t.Errorf("listing = %s, %v, want %s", got, listing.Failure, want)
	}
	if o := (pipeline.Env{}).Execute(t.Context(), plan, pipeline.Task{Run: "r", Step: "list", Listing: true}); o.Failure == nil {
		t.Error("a process without the function listed items")
	}
	if o := env.Execute(t.Context(), plan.Only("join"), pipeline.Task{Run: "r", Step: "list"}); o.Failure == nil {
		t.Error("a task of a step that the plan does not have was run")
	}
}

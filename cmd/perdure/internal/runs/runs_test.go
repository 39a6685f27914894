package runs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func plan(run string, steps ...string) pipeline.Plan {
	p := pipeline.Plan{Pipeline: "flights", Run: run}
	for _, s := range steps {
		p.Steps = append(p.Steps, pipeline.PlanStep{Name: strings.TrimSuffix(s, "*"), Items: strings.HasSuffix(s, "*")})
	}
	return p
}

func started(step string) pipeline.Event {
	return pipeline.Event{Kind: pipeline.EventStepStarted, At: time.Now(), Step: step, Attempts: 1}
}

func ended(step string, s pipeline.Status, f *pipeline.Failure) pipeline.Event {
	return pipeline.Event{Kind: pipeline.EventStepEnded, At: time.Now(), Step: step, Status: s, Failure: f, Attempts: 1}
}

// show returns a run, which must be known, and one of its steps.
func show(t *testing.T, r *runs.Registry, name string, step int) (runs.Run, runs.Step) {
	t.Helper()
	run, steps, err := r.Show(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return run, steps[step]
}

func TestARunIsShownAsItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runs.NewRegistry()
		w := runs.Watch(runs.Begin{Plan: plan("r", "load*", "train"), Engine: runs.Inline}, r)
		w.Observe(started("load"))
		<-time.After(time.Second)
		w.Observe(pipeline.Event{Kind: pipeline.EventProgress, At: time.Now(), Step: "load", Done: 3, Total: 9, Attempts: 4})
		w.Observe(pipeline.Event{Kind: pipeline.EventProgress, At: time.Now(), Step: "load", Done: 77, Total: 99, Parts: true})
		run, load := show(t, r, "r", 0)
		if load.Done != 3 || load.Total != 9 || load.Attempts != 4 || load.Took(time.Now()) != time.Second {
			t.Errorf("load = %+v, want 3 of 9 items after 4 tries and a second: the parts of an item are not the step's", load)
		}
		if run.Current != "load" || run.Counts.Running != 1 || run.Counts.Pending != 1 || run.Waiting() {
			t.Errorf("run = %+v", run)
		}
		w.Observe(ended("load", pipeline.StatusSucceeded, nil))
		w.Observe(started("train"))
		w.Observe(pipeline.Event{
			Kind: pipeline.EventWaiting, At: time.Now(), Step: "train", Until: time.Now().Add(time.Minute), Attempts: 1,
			Failure: pipeline.NewFailure(redact.Errorf("busy")),
		})
		run, train := show(t, r, "r", 1)
		if !run.Waiting() || !train.Waiting(time.Now()) || train.Failure.Text != "busy" || time.Until(run.Until) != time.Minute {
			t.Errorf("run = %+v, train = %+v, want both waiting for a minute", run, train)
		}
		<-time.After(2 * time.Minute)
		if run, train = show(t, r, "r", 1); run.Waiting() || train.Waiting(time.Now()) {
			t.Error("after its time it waits no longer")
		}
		w.Observe(ended("train", pipeline.StatusSucceeded, nil))
		w.End(pipeline.Report{Run: "r", Status: pipeline.StatusSucceeded}, nil)
		run, train = show(t, r, "r", 1)
		if run.Status != pipeline.StatusSucceeded || run.Counts.Succeeded != 2 || len(train.Waits) != 1 || train.Waits[0].To.Sub(train.Waits[0].From) != time.Minute {
			t.Errorf("run = %+v, train = %+v", run, train)
		}
	})
}

// TestCallsThatWaitAreTheSteps: a guarded call that parks within a step makes
// the step wait.
func TestCallsThatWaitAreTheSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runs.NewRegistry()
		m, err := perdure.New(perdure.Config{Name: "m", Policy: perdure.Policy{Park: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		m.AddHooks(r.Hooks())
		m.Breaker("database").HoldOpen("drill")
		d := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "load", Do: func(ctx context.Context, _ pipeline.Input) (any, error) {
			return 1, m.Do(ctx, perdure.Op{Name: "rows.load", Idempotent: true}, func(context.Context) error { return nil })
		}}}}
		p, err := d.Freeze("r", nil)
		if err != nil {
			t.Fatal(err)
		}
		w := runs.Watch(runs.Begin{Plan: p, Engine: runs.Inline}, r)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.End(pipeline.Run(t.Context(), d, pipeline.Options{Run: "r", Observe: w.Observe}))
		}()
		<-time.After(time.Second)
		run, load := show(t, r, "r", 0)
		if !run.Waiting() || run.Parked != 1 || run.ParkedFor != "database" || load.Parked != 1 {
			t.Errorf("run = %+v, load = %+v, want a call that waits for the database", run, load)
		}
		m.Breaker("database").HoldClosed("drill is over")
		<-done
		run, load = show(t, r, "r", 0)
		if run.Status != pipeline.StatusSucceeded || run.Parked != 0 || len(load.Waits) != 1 || load.Waits[0].For != "database" {
			t.Errorf("run = %+v, load = %+v, want the wait that is over", run, load)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatHappenedBeforeIsShownButNotToldAgain: an engine that goes on with a run tells
// first what was; the trail has that already.
func TestWhatHappenedBeforeIsShownButNotToldAgain(t *testing.T) {
	r := runs.NewRegistry()
	var told []string
	sink := func(n runs.Note) { told = append(told, fmt.Sprint(n.Kind, n.How, n.Step, n.Status)) }
	w := runs.Watch(runs.Begin{Plan: plan("r", "load", "train"), Engine: "dbos", How: runs.Resumed, Try: 2}, r, sink, nil)
	old := started("load")
	old.At = old.At.Add(-time.Hour)
	w.Observe(old)
	old = ended("load", pipeline.StatusSucceeded, nil)
	old.At = old.At.Add(-time.Hour)
	w.Observe(old)
	w.Observe(started("train"))
	w.Observe(ended("train", pipeline.StatusSucceeded, nil))
	w.End(pipeline.Report{Run: "r", Status: pipeline.StatusSucceeded}, nil)
	want := []string{"0resumedrunning", "1beguntrain", "3beguntrainsucceeded", "4begunsucceeded"}
	for i := range told {
		told[i] = strings.ReplaceAll(told[i], " ", "")
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if run, load := show(t, r, "r", 0); load.Status != pipeline.StatusSucceeded || run.Try != 2 {
		t.Errorf("run = %+v, load = %+v", run, load)
	}
}

func TestHowARunEnds(t *testing.T) {
	failure := &pipeline.StepError{Step: "load", Failure: pipeline.NewFailure(errors.New("customer ada"))}
	for name, c := range map[string]struct {
		engine string
		report pipeline.Report
		err    error
		status pipeline.Status
		step   string
	}{
		"a step failed":                         {runs.Inline, pipeline.Report{Status: pipeline.StatusFailed}, failure, pipeline.StatusFailed, "load"},
		"it was stopped, and nothing remembers": {runs.Inline, pipeline.Report{Status: pipeline.StatusCanceled}, fmt.Errorf("r: %w", pipeline.ErrStopped), pipeline.StatusCanceled, ""},
		"it was stopped, and can be resumed":    {"dbos", pipeline.Report{Status: pipeline.StatusCanceled}, fmt.Errorf("r: %w", pipeline.ErrStopped), pipeline.StatusInterrupted, ""},
		"nothing was begun":                     {"dbos", pipeline.Report{}, errors.New("no disk"), pipeline.StatusFailed, ""},
	} {
		r := runs.NewRegistry()
		w := runs.Watch(runs.Begin{Plan: plan("r", "load"), Engine: c.engine}, r)
		w.End(c.report, c.err)
		run, load := show(t, r, "r", 0)
		if run.Status != c.status || run.Failure != nil && run.Failure.Step != c.step || load.Status == pipeline.StatusRunning {
			t.Errorf("%s: %+v", name, run)
		}
		if run.Failure != nil && strings.Contains(run.Failure.Text, "ada") {
			t.Errorf("%s: the text shows data: %s", name, run.Failure.Text)
		}
	}
	r := runs.NewRegistry()
	w := runs.Watch(runs.Begin{Plan: plan("r", "load"), Engine: "dbos"}, r)
	w.End(pipeline.Report{}, fmt.Errorf("r: %w", pipeline.ErrRunning))
	if _, _, err := r.Show(t.Context(), "r"); !errors.Is(err, pipeline.ErrNoRun) {
		t.Errorf("a run that is another process's is shown: %v", err)
	}
}

// TestTheRegistryIsBounded in runs and steps, and keeps those at work.
func TestTheRegistryIsBounded(t *testing.T) {
	r := runs.NewRegistry()
	working := runs.Watch(runs.Begin{Plan: plan("works", "s"), Engine: runs.Inline}, r)
	for i := range 60 {
		runs.Watch(runs.Begin{Plan: plan(fmt.Sprintf("r%d", i), "s"), Engine: runs.Inline}, r).End(pipeline.Report{Status: pipeline.StatusSucceeded}, nil)
	}
	list, err := r.List(t.Context())
	if err != nil || len(list) != 51 || list[0].Name != "works" || list[1].Name != "r59" {
		t.Fatalf("%d runs, %v, want the one at work and the last 50", len(list), err)
	}
	large := make([]string, 9_999)
	for i := range large {
		large[i] = fmt.Sprintf("s%d", i)
	}
	for i := range 3 {
		runs.Watch(runs.Begin{Plan: plan(fmt.Sprintf("large%d", i), large...), Engine: runs.Inline}, r).End(pipeline.Report{Status: pipeline.StatusSucceeded}, nil)
	}
	if list, _ = r.List(t.Context()); len(list) != 3 || list[1].Name != "large2" || list[2].Name != "large1" {
		t.Errorf("%d runs, want the one at work and two large ones: 20,000 steps are enough", len(list))
	}
	for i := range 120 {
		runs.Watch(runs.Begin{Plan: plan(fmt.Sprintf("many%d", i), "s"), Engine: runs.Inline}, r)
	}
	if r.Unshown() != 21 {
		t.Errorf("%d runs are not shown, want 21 of 121 at work", r.Unshown())
	}
	working.End(pipeline.Report{Status: pipeline.StatusSucceeded}, nil)
	runs.Watch(runs.Begin{Plan: plan("works", "s"), Engine: runs.Inline}, r)
	list, _ = r.List(t.Context())
	n := 0
	for _, run := range list {
		if run.Name == "works" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("a run that is begun again is there %d times", n)
	}
}

// durable is an engine that remembers.
type durable struct {
	pipeline.Durable

	infos []pipeline.RunInfo
	asked int
	err   error
}

func (d *durable) List(context.Context, int) ([]pipeline.RunInfo, error) {
	d.asked++
	return d.infos, d.err
}

func (d *durable) Show(_ context.Context, run string) (pipeline.RunInfo, error) {
	for _, i := range d.infos {
		if i.Run == run {
			return i, d.err
		}
	}
	return pipeline.RunInfo{}, pipeline.ErrNoRun
}

func TestWhatAnEngineRemembersIsShownToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now()
		r := runs.NewRegistry()
		p := plan("old", "load", "train")
		d := &durable{infos: []pipeline.RunInfo{{
			Run: "old", Pipeline: "flights", Engine: "dbos", Status: pipeline.StatusInterrupted, Try: 1, Owner: "db7/41", Started: at, Plan: &p,
			Report: &pipeline.Report{Steps: []pipeline.StepReport{
				{Name: "load", Status: pipeline.StatusSucceeded, Started: at, Duration: time.Second, Attempts: 1},
				{Name: "train", Status: pipeline.StatusFailed, Started: at, Duration: time.Second, Failure: &pipeline.Failure{Message: "customer ada", SQLState: "57P01"}},
			}},
		}, {Run: "mine", Status: pipeline.StatusRunning, Owner: "db7/42"}}}
		r.Remember(d)
		runs.Watch(runs.Begin{Plan: plan("mine", "load"), Engine: "dbos"}, r)
		list, err := r.List(t.Context())
		if err != nil || len(list) != 2 || list[0].Name != "mine" || list[0].Owner != "" || list[1].Name != "old" {
			t.Fatalf("list = %+v, %v, want this process's own run, once, and the old one", list, err)
		}
		if _, err := r.List(t.Context()); err != nil || d.asked != 1 {
			t.Errorf("the engine was asked %d times within two seconds: %v", d.asked, err)
		}
		run, train := show(t, r, "old", 1)
		if run.Counts.Succeeded != 1 || run.Failure == nil || run.Failure.Step != "train" || train.Failure.Text != "admin_shutdown, 57P01" {
			t.Errorf("run = %+v, train = %+v", run, train.Failure)
		}
		d.err = errors.New("away")
		<-time.After(3 * time.Second)
		if list, err := r.List(t.Context()); err == nil || len(list) != 2 {
			t.Errorf("of an engine that is away: %d runs, %v, want those of before and an error", len(list), err)
		}
		r.Remember(nil)
		if list, err := r.List(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("without the engine: %+v, %v", list, err)
		}
	})
}

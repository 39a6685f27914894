//go:build temporal && unix

package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// TestTheContract holds the engine to what pipeline.Durable says, on one server.
func TestTheContract(t *testing.T) {
	s := newServer(t)
	e := s.open(t, perduretemporal.Config{})
	for name, test := range map[string]func(*testing.T, *server, *perduretemporal.Engine){
		"a run, and what is known of it":                  aRunAndWhatIsKnownOfIt,
		"a run that failed is gone on with":               aRunThatFailedIsGoneOnWith,
		"cancel reaches the step":                         cancelReachesTheStep,
		"the context of Run cancels, and Stop interrupts": contextAndStop,
	} {
		t.Run(name, func(t *testing.T) { test(t, s, e) })
	}
}

func aRunAndWhatIsKnownOfIt(t *testing.T, s *server, e *perduretemporal.Engine) { //nolint:thelper // a test
	d := newDemo()
	workIn(t, e, d)
	each := step("each", "work", `{"name":"each ${item}","value":"${item}"}`)
	each.ForEach = json.RawMessage(`"${params.list}"`)
	omitted := step("omitted", "work", "")
	omitted.When = "false"
	p := plan(t, "succeeds", map[string]any{"list": []string{"x", "y", "z"}},
		step("first", "work", `{"name":"first","value":1,"fails":2}`), omitted, each,
		step("last", "work", `{"name":"last","value":"${steps.each.output}"}`, "first", "omitted"),
	)
	var mu sync.Mutex
	ended := make(map[string]pipeline.Status)
	observe := func(ev pipeline.Event) {
		mu.Lock()
		defer mu.Unlock()
		if ev.Kind == pipeline.EventStepEnded {
			ended[ev.Step] = ev.Status
		}
	}
	if _, err := e.Resume(t.Context(), "succeeds", pipeline.DurableOptions{}); !errors.Is(err, pipeline.ErrNoRun) {
		t.Errorf("Resume of no run = %v, want ErrNoRun", err)
	}
	report, err := e.Run(t.Context(), p, pipeline.DurableOptions{Observe: observe})
	if err != nil {
		t.Fatal(err)
	}
	if last, _ := report.Step("last"); string(last.Output) != `["x","y","z"]` {
		t.Errorf("output of last = %s", last.Output)
	}
	if first, _ := report.Step("first"); first.Attempts != 3 || d.count("first") != 3 {
		t.Errorf("first was tried %d times, run %d times, want 3", first.Attempts, d.count("first"))
	}
	want := map[string]pipeline.Status{
		"first": pipeline.StatusSucceeded, "omitted": pipeline.StatusOmitted, "each": pipeline.StatusSucceeded, "last": pipeline.StatusSucceeded,
	}
	if diff := cmp.Diff(want, ended); diff != "" {
		t.Errorf("steps that an observer saw end (-want +got):\n%s", diff)
	}

	again, err := e.Run(t.Context(), p, pipeline.DurableOptions{})
	if err != nil || cmp.Diff(report, again) != "" || d.count("last") != 1 {
		t.Errorf("Run again = %v, %v; last was run %d times", again, err, d.count("last"))
	}
	other := plan(t, "succeeds", map[string]any{"list": []string{"other"}}, each)
	if _, err := e.Run(t.Context(), other, pipeline.DurableOptions{}); !errors.Is(err, pipeline.ErrPlanChanged) {
		t.Errorf("Run of another plan = %v, want ErrPlanChanged", err)
	}

	info, err := e.Show(t.Context(), "succeeds")
	if err != nil {
		t.Fatal(err)
	}
	if info.Status != pipeline.StatusSucceeded || info.Try != 1 || info.Pipeline != "demo" || info.Owner == "" || info.Ended.IsZero() ||
		info.Plan.Same(p) != nil || cmp.Diff(&report, info.Report) != "" {
		t.Errorf("Show = %+v", info)
	}
	runs := eventually(t, limit, func(ctx context.Context) ([]pipeline.RunInfo, error) {
		runs, err := e.List(ctx, 10)
		runs = slices.DeleteFunc(runs, func(r pipeline.RunInfo) bool { return r.Run != "succeeds" || r.Status != pipeline.StatusSucceeded })
		if err == nil && len(runs) != 1 {
			err = errors.New("the list does not have it yet")
		}
		return runs, err
	})
	if r := runs[0]; r.Engine != "temporal" || r.Plan != nil || r.Pipeline != "demo" || !r.Started.Equal(info.Started) {
		t.Errorf("List = %+v", r)
	}
	if err := e.Cancel(t.Context(), "succeeds"); err != nil {
		t.Errorf("Cancel of a run that is over = %v", err)
	}
	if err := e.Cancel(t.Context(), "none"); !errors.Is(err, pipeline.ErrNoRun) {
		t.Errorf("Cancel of no run = %v, want ErrNoRun", err)
	}
	record(t, s, "succeeds")
}

func aRunThatFailedIsGoneOnWith(t *testing.T, s *server, e *perduretemporal.Engine) { //nolint:thelper // a test
	d := newDemo()
	workIn(t, e, d)
	p := plan(t, "fails", nil, step("first", "work", ""), step("second", "break", "", "first"), step("third", "work", "", "second"))
	_, err := e.Run(t.Context(), p, pipeline.DurableOptions{})
	failed, ok := errors.AsType[*pipeline.StepError](err)
	if !ok || failed.Error() != "step second: the disk is full" {
		t.Fatalf("Run = %v, want that step second failed", err)
	}
	record(t, s, "fails")
	report, err := e.Resume(t.Context(), "fails", pipeline.DurableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Status != pipeline.StatusSucceeded || d.count("first") != 1 || d.count("second") != 2 || d.count("third") != 1 {
		t.Errorf("%s; first was run %d times, second %d, third %d, want 1, 2, 1", report.Status, d.count("first"), d.count("second"), d.count("third"))
	}
	if info, err := e.Show(t.Context(), "fails"); err != nil || info.Try != 2 {
		t.Errorf("Show = try %d, %v, want 2", info.Try, err)
	}
}

func cancelReachesTheStep(t *testing.T, s *server, e *perduretemporal.Engine) { //nolint:thelper // a test
	d := newDemo()
	workIn(t, e, d)
	p := plan(t, "canceled", nil, step("first", "work", ""), step("holds", "hold", "", "first"), step("last", "work", "", "holds"))
	var mu sync.Mutex
	told := false
	observe := func(ev pipeline.Event) {
		mu.Lock()
		defer mu.Unlock()
		told = told || ev.Kind == pipeline.EventProgress && ev.Done == 3 && ev.Total == 9
	}
	over := make(chan result, 1)
	go func() {
		r, err := e.Run(t.Context(), p, pipeline.DurableOptions{Observe: observe})
		over <- result{r, err}
	}()
	<-d.held
	eventually(t, limit, func(context.Context) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if !told {
			return 0, errors.New("the observer does not know how far the step is")
		}
		return 0, nil
	})
	if info, err := e.Show(t.Context(), "canceled"); err != nil || info.Status != pipeline.StatusRunning || info.Report == nil || info.Owner == "" {
		t.Errorf("Show of a run at work = %+v, %v", info, err)
	}
	if err := e.Cancel(t.Context(), "canceled"); err != nil {
		t.Fatal(err)
	}
	r := <-over
	if !errors.Is(r.err, context.Canceled) || r.report.Status != pipeline.StatusCanceled {
		t.Errorf("Run = %s, %v, want canceled", r.report.Status, r.err)
	}
	if first, _ := r.report.Step("first"); first.Status != pipeline.StatusSucceeded {
		t.Errorf("first = %s", first.Status)
	}
	record(t, s, "canceled")

	d.free()
	report, err := e.Run(t.Context(), p, pipeline.DurableOptions{})
	if err != nil || report.Status != pipeline.StatusSucceeded || d.count("first") != 1 || d.count("holds") < 2 {
		t.Errorf("Run again = %s, %v; first was run %d times, holds %d", report.Status, err, d.count("first"), d.count("holds"))
	}
}

func contextAndStop(t *testing.T, _ *server, e *perduretemporal.Engine) { //nolint:thelper // a test
	d := newDemo()
	workIn(t, e, d)

	ctx, cancel := context.WithCancelCause(t.Context())
	bored := errors.New("nobody wants it any more")
	go func() { <-d.held; cancel(bored) }()
	p := plan(t, "unwanted", nil, step("holds", "hold", ""))
	if r, err := e.Run(ctx, p, pipeline.DurableOptions{}); !errors.Is(err, bored) || r.Status != pipeline.StatusCanceled {
		t.Errorf("Run = %s, %v, want canceled with the cause", r.Status, err)
	}

	stop := make(chan struct{})
	q := plan(t, "stopped", nil, step("slow", "work", `{"name":"slow","fails":4}`), step("next", "work", "", "slow"))
	observe := sync.OnceFunc(func() { close(stop) })
	r, err := e.Run(t.Context(), q, pipeline.DurableOptions{Stop: stop, Observe: func(pipeline.Event) { observe() }})
	if err == nil { // it was faster than the signal
		t.Logf("the run ended before it could be stopped: %s", r.Status)
	} else if !errors.Is(err, pipeline.ErrStopped) || r.Status != pipeline.StatusInterrupted {
		t.Errorf("Run = %s, %v, want interrupted", r.Status, err)
	}
	if r, err = e.Resume(t.Context(), "stopped", pipeline.DurableOptions{}); err != nil || r.Status != pipeline.StatusSucceeded {
		t.Errorf("Resume = %s, %v", r.Status, err)
	}
}

func TestALongRunIsContinuedAndTheServerMayDie(t *testing.T) {
	s := newServer(t, "-continue-after", "60")
	e := s.open(t, perduretemporal.Config{})
	d := newDemo()
	workIn(t, e, d)
	list := make([]int, 80)
	for i := range list {
		list[i] = i
	}
	each := step("each", "work", `{"name":"each ${item}","value":"${item}"}`)
	each.ForEach, each.Parallel = json.RawMessage(`"${params.list}"`), 4
	p := plan(t, "continued", map[string]any{"list": list}, each, step("last", "work", "", "each"))
	half := make(chan struct{})
	once := sync.OnceFunc(func() { close(half) })
	over := make(chan result, 1)
	go func() {
		r, err := e.Run(t.Context(), p, pipeline.DurableOptions{Observe: func(ev pipeline.Event) {
			if ev.Done > 20 {
				once()
			}
		}})
		over <- result{r, err}
	}()
	<-half
	s.kill(t)
	s.start(t)
	r := <-over
	if r.err != nil {
		t.Fatal(r.err)
	}
	if each, _ := r.report.Step("each"); each.Items != 80 || each.Attempts != 80 {
		t.Errorf("each = %d items, %d tries", each.Items, each.Attempts)
	}
	for i := range list {
		if n := d.count("each " + string(mustJSON(t, i))); n == 0 {
			t.Errorf("item %d was never run", i)
		}
	}
	if n := executions(t, s, "continued"); n < 3 {
		t.Errorf("%d executions of the workflow, want several", n)
	}
	record(t, s, "continued")
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

package perduredbos_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

// chain is three steps, the second of which is do.
func chain(c *counter, do pipeline.Func) *pipeline.Definition {
	count := func(name string, do pipeline.Func) pipeline.Func {
		return func(ctx context.Context, in pipeline.Input) (any, error) {
			c.add(name)
			return do(ctx, in)
		}
	}
	return &pipeline.Definition{Name: "chain", Steps: []pipeline.Step{
		{Name: "a", Do: count("a", value("A"))},
		{Name: "b", Needs: []string{"a"}, Do: count("b", do)},
		{Name: "c", Needs: []string{"b"}, Do: count("c", func(_ context.Context, in pipeline.Input) (any, error) {
			var a string
			return a + "!", in.Output("a", &a)
		})},
	}}
}

func TestRunSucceedsAndIsNotRunAgain(t *testing.T) {
	var c counter
	d := chain(&c, value(2))
	dir := t.TempDir()
	e := engine(t, dir, d)
	if runs, err := e.List(t.Context(), 0); err != nil || len(runs) != 0 {
		t.Fatalf("runs of an empty directory = %v, %v", runs, err)
	}
	if _, err := e.Show(t.Context(), "r"); !errors.Is(err, pipeline.ErrNoRun) {
		t.Errorf("Show = %v, want ErrNoRun", err)
	}
	plan := freeze(t, d, "r", nil)
	report, err := e.Run(t.Context(), plan, pipeline.DurableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := report.Step("c"); string(s.Output) != `"A!"` {
		t.Errorf("output of c = %s", s.Output)
	}
	other := engine(t, dir, d)
	again, err := other.Run(t.Context(), plan, pipeline.DurableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, report), asJSON(t, again)); diff != "" {
		t.Errorf("the report of the run that was over differs:\n%s", diff)
	}
	for _, step := range []string{"a", "b", "c"} {
		if n := c.of(step); n != 1 {
			t.Errorf("step %s was run %d times", step, n)
		}
	}
	info := show(t, other, "r")
	if info.Status != pipeline.StatusSucceeded || info.Try != 1 || info.Engine != "dbos" || info.Pipeline != "chain" || info.Owner == "" || info.Ended.IsZero() {
		t.Errorf("info = %+v", info)
	}
	if diff := cmp.Diff(asJSON(t, report), asJSON(t, info.Report)); diff != "" {
		t.Errorf("the report that is shown differs:\n%s", diff)
	}
	runs, err := other.List(t.Context(), 0)
	if err != nil || len(runs) != 1 || runs[0].Run != "r" || runs[0].Status != pipeline.StatusSucceeded {
		t.Errorf("List = %+v, %v", runs, err)
	}
}

func TestFailedRunIsGoneOnWithAsAnotherTry(t *testing.T) {
	var c counter
	broken := true
	d := chain(&c, func(context.Context, pipeline.Input) (any, error) {
		if broken {
			return nil, errors.New("broken")
		}
		return 2, nil
	})
	e := engine(t, t.TempDir(), d)
	plan := freeze(t, d, "r", nil)
	_, err := e.Run(t.Context(), plan, pipeline.DurableOptions{})
	if s, ok := errors.AsType[*pipeline.StepError](err); !ok || s.Step != "b" {
		t.Fatalf("error %v, want that of step b", err)
	}
	if info := show(t, e, "r"); info.Status != pipeline.StatusFailed || info.Report.Status != pipeline.StatusFailed || info.Try != 1 {
		t.Errorf("info = %+v", info)
	}
	broken = false
	var events []pipeline.Event
	report, err := e.Resume(t.Context(), "r", pipeline.DurableOptions{Observe: func(ev pipeline.Event) { events = append(events, ev) }})
	if err != nil {
		t.Fatal(err)
	}
	if report.Status != pipeline.StatusSucceeded || c.of("a") != 1 || c.of("b") != 2 || c.of("c") != 1 {
		t.Errorf("report %s, begun %v", report.Status, c.begun)
	}
	info := show(t, e, "r")
	if info.Status != pipeline.StatusSucceeded || info.Try != 2 {
		t.Errorf("info = %+v", info)
	}
	if runs, err := e.List(t.Context(), 0); err != nil || len(runs) != 1 || runs[0].Try != 2 {
		t.Errorf("List = %+v, %v", runs, err)
	}
}

func TestStopLetsTasksEndAndResumeGoesOn(t *testing.T) {
	var c counter
	stop, inB, goOn := make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	d := chain(&c, func(context.Context, pipeline.Input) (any, error) {
		inB <- struct{}{}
		<-goOn
		return 2, nil
	})
	e := engine(t, t.TempDir(), d)
	ended := make(chan error, 1)
	go func() {
		_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{Stop: stop})
		ended <- err
	}()
	arrives(t, inB, ended)
	if info := show(t, e, "r"); info.Status != pipeline.StatusRunning || info.Report.Steps[0].Status != pipeline.StatusSucceeded || info.Report.Steps[1].Status != pipeline.StatusRunning {
		t.Errorf("info of the run at work = %s", asJSON(t, info))
	}
	if _, err := e.Resume(t.Context(), "r", pipeline.DurableOptions{}); !errors.Is(err, pipeline.ErrRunning) {
		t.Errorf("Resume of a run at work = %v, want ErrRunning", err)
	}
	close(stop)
	close(goOn)
	if err := <-ended; !errors.Is(err, pipeline.ErrStopped) {
		t.Fatalf("error %v, want ErrStopped", err)
	}
	if info := show(t, e, "r"); info.Status != pipeline.StatusInterrupted {
		t.Errorf("status %s, want interrupted", info.Status)
	}
	report, err := e.Resume(t.Context(), "r", pipeline.DurableOptions{})
	if err != nil || report.Status != pipeline.StatusSucceeded {
		t.Fatalf("report %s, %v", report.Status, err)
	}
	if c.of("a") != 1 || c.of("b") != 1 || c.of("c") != 1 {
		t.Errorf("begun %v, want each once", c.begun)
	}
	if info := show(t, e, "r"); info.Try != 1 {
		t.Errorf("try %d, want 1: an interrupted run is the same try", info.Try)
	}
}

func TestCanceledContextCancelsTasksAndResumeBeginsThemAgain(t *testing.T) {
	var c counter
	inB := make(chan struct{}, 2)
	hang := true
	d := chain(&c, func(ctx context.Context, _ pipeline.Input) (any, error) {
		inB <- struct{}{}
		if hang {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return 2, nil
	})
	e := engine(t, t.TempDir(), d)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() { <-inB; cancel(why) }()
	report, err := e.Run(ctx, freeze(t, d, "r", nil), pipeline.DurableOptions{})
	if !errors.Is(err, why) || report.Status != pipeline.StatusInterrupted {
		t.Fatalf("report %s, error %v", report.Status, err)
	}
	hang = false
	if report, err = e.Resume(t.Context(), "r", pipeline.DurableOptions{}); err != nil || report.Status != pipeline.StatusSucceeded {
		t.Fatalf("report %s, %v", report.Status, err)
	}
	if c.of("a") != 1 || c.of("b") != 2 {
		t.Errorf("begun %v, want a once and b twice", c.begun)
	}
}

func TestCancelReachesTheRunAtWork(t *testing.T) {
	var c counter
	inB := make(chan struct{}, 2)
	d := chain(&c, func(ctx context.Context, _ pipeline.Input) (any, error) {
		if inB <- struct{}{}; c.of("b") == 1 {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return 2, nil
	})
	dir := t.TempDir()
	e, other := engine(t, dir, d), engine(t, dir, d)
	ended := make(chan error, 1)
	go func() {
		_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
		ended <- err
	}()
	arrives(t, inB, ended)
	if err := other.Cancel(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, perduredbos.ErrCanceled) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want ErrCanceled", err)
	}
	info := show(t, other, "r")
	if info.Status != pipeline.StatusCanceled || info.Report.Status != pipeline.StatusCanceled || info.Report.Steps[1].Status != pipeline.StatusCanceled {
		t.Errorf("info = %s", asJSON(t, info))
	}
	if err := other.Cancel(t.Context(), "r"); err != nil {
		t.Errorf("a second Cancel = %v", err)
	}
	if err := other.Cancel(t.Context(), "none"); !errors.Is(err, pipeline.ErrNoRun) {
		t.Errorf("Cancel of no run = %v", err)
	}
	report, err := other.Resume(t.Context(), "r", pipeline.DurableOptions{})
	if err != nil || report.Status != pipeline.StatusSucceeded || c.of("a") != 1 {
		t.Errorf("resumed: %s, %v, begun %v", report.Status, err, c.begun)
	}
	if err := other.Cancel(t.Context(), "r"); err != nil {
		t.Errorf("Cancel of a run that is over = %v", err)
	}
	if info := show(t, other, "r"); info.Status != pipeline.StatusSucceeded || info.Try != 2 {
		t.Errorf("info = %+v", info)
	}
}

func TestChangedPlanIsRefusedUnlessForced(t *testing.T) {
	var c counter
	broken := true
	do := func(context.Context, pipeline.Input) (any, error) {
		if broken {
			return nil, errors.New("broken")
		}
		return 2, nil
	}
	d := chain(&c, do)
	e := engine(t, t.TempDir(), d)
	if _, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{}); err == nil {
		t.Fatal("it did not fail")
	}
	broken = false
	changed := chain(&c, do)
	changed.Steps = append(changed.Steps, pipeline.Step{Name: "d", Needs: []string{"c"}, Do: value(4)})
	*d = *changed
	plan := freeze(t, d, "r", nil)
	if _, err := e.Run(t.Context(), plan, pipeline.DurableOptions{}); !errors.Is(err, pipeline.ErrPlanChanged) {
		t.Fatalf("error %v, want ErrPlanChanged", err)
	}
	report, err := e.Run(t.Context(), plan, pipeline.DurableOptions{Force: true})
	if err != nil || len(report.Steps) != 4 || c.of("a") != 1 {
		t.Errorf("report %s, %v, begun %v", report.Status, err, c.begun)
	}
}

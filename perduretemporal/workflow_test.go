package perduretemporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pipeline"
)

// deaf takes no signs of life: the environment of the SDK has no server.
type deaf struct{}

func (deaf) RecordActivityHeartbeat(context.Context, []byte, ...any) error { return nil }

// environment returns the SDK's, where time passes when nothing happens, with a
// worker that has the definition.
func environment(tb testing.TB, d pipeline.Definition) *testsuite.TestWorkflowEnvironment {
	tb.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	w := &Worker{engine: &Engine{identity: "host/1"}, config: WorkerConfig{Env: lend(d)}, beats: deaf{}, dying: tb.Context()}
	env.SetDataConverter(newConverter())
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: deadlock})
	env.RegisterWorkflowWithOptions(flow{env: w.config.Env}.run, workflow.RegisterOptions{Name: workflowName})
	env.RegisterActivityWithOptions(w.task, activity.RegisterOptions{Name: activityName})
	env.SetTestTimeout(time.Minute)
	return env
}

func lend(d pipeline.Definition) pipeline.Env {
	return pipeline.Env{Pipeline: func(name string) (pipeline.Definition, bool) { return d, name == d.Name }}
}

func freeze(tb testing.TB, d pipeline.Definition, run string) pipeline.Plan {
	tb.Helper()
	p, err := d.Freeze(run, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// ended returns how the workflow ended, as a client reads it.
func ended(tb testing.TB, env *testsuite.TestWorkflowEnvironment) (ending, error) {
	tb.Helper()
	if !env.IsWorkflowCompleted() {
		tb.Fatal("the workflow has not ended")
	}
	err := env.GetWorkflowError()
	if err != nil {
		return read("r", err)
	}
	var end ending
	if err := env.GetWorkflowResult(&end); err != nil {
		tb.Fatal(err)
	}
	return end, nil
}

// diary writes down what was run.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) step(name string, needs ...string) pipeline.Step {
	return pipeline.Step{Name: name, Needs: needs, Do: func(_ context.Context, in pipeline.Input) (any, error) {
		d.add(name)
		return map[string]any{"from": name, "saw": len(in.Outputs)}, nil
	}}
}

func TestStepsRunInTheOrderOfTheirNeeds(t *testing.T) {
	var d diary
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		d.step("d", "b", "c"), d.step("b", "a"), d.step("c", "a"), d.step("a"),
	}}
	env := environment(t, def)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if d.lines[0] != "a" || d.lines[3] != "d" || len(d.lines) != 4 {
		t.Errorf("order = %v, want a, then b and c, then d", d.lines)
	}
	if end.Report.Status != pipeline.StatusSucceeded || end.Owner != "host/1" {
		t.Errorf("status = %s by %q, want succeeded by host/1", end.Report.Status, end.Owner)
	}
	if s, _ := end.Report.Step("d"); string(s.Output) != `{"from":"d","saw":3}` {
		t.Errorf("output of d = %s, want that it saw a, b and c", s.Output)
	}
}

func TestATaskIsTriedAgainAtItsTimeAndNoWorkerWaits(t *testing.T) {
	var tries []time.Time
	var env *testsuite.TestWorkflowEnvironment
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "a", Attempts: 3, Do: func(context.Context, pipeline.Input) (any, error) {
		tries = append(tries, env.Now())
		if len(tries) < 3 {
			return nil, pipeline.RetryAt(errors.New("not yet"), env.Now().Add(5*time.Hour))
		}
		return "done", nil
	}}}}
	env = environment(t, def)
	began := time.Now()
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if len(tries) != 3 || tries[2].Sub(tries[0]) < 10*time.Hour {
		t.Errorf("tries at %v, want three, ten hours apart in all", tries)
	}
	if took := time.Since(began); took > time.Hour {
		t.Errorf("the test itself took %v", took)
	}
	if s := end.Report.Steps[0]; s.Attempts != 3 || s.Duration < 10*time.Hour {
		t.Errorf("report = %d attempts in %v, want 3 in ten hours", s.Attempts, s.Duration)
	}
}

func TestAFailureIsDataAndEndsTheRun(t *testing.T) {
	var d diary
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		{Name: "bad", Attempts: 5, Do: func(context.Context, pipeline.Input) (any, error) {
			d.add("bad")
			return nil, errors.New("the file has no header")
		}},
		d.step("after", "bad"), d.step("beside"),
	}}
	env := environment(t, def)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, env)
	failed, ok := errors.AsType[*pipeline.StepError](err)
	if !ok || failed.Error() != "step bad: the file has no header" {
		t.Fatalf("error = %v, want that of step bad", err)
	}
	slices.Sort(d.lines)
	if diff := cmp.Diff([]string{"bad", "beside"}, d.lines); diff != "" {
		t.Errorf("what was run (-want +got):\n%s", diff)
	}
	var got []pipeline.Status
	for _, s := range end.Report.Steps {
		got = append(got, s.Status)
	}
	if diff := cmp.Diff([]pipeline.Status{pipeline.StatusFailed, pipeline.StatusSkipped, pipeline.StatusSucceeded}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestAnotherTryRunsWhatDidNotSucceed(t *testing.T) {
	var d diary
	bad := true
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		d.step("a"),
		{Name: "b", Needs: []string{"a"}, Do: func(context.Context, pipeline.Input) (any, error) {
			if bad {
				return nil, errors.New("disk full")
			}
			d.add("b")
			return 7, nil
		}},
		d.step("c", "b"),
	}}
	first := environment(t, def)
	first.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, first)
	if err == nil {
		t.Fatal("the first try succeeded")
	}
	bad = false
	second := environment(t, def)
	second.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 2, Heartbeat: time.Minute, Earlier: &end.Report})
	if _, err := ended(t, second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, d.lines); diff != "" {
		t.Errorf("what was run in both tries (-want +got):\n%s", diff)
	}
}

func TestACanceledRunEndsWithWhatItDid(t *testing.T) {
	var d diary
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		d.step("a"),
		{Name: "waits", Attempts: 10, Needs: []string{"a"}, Do: func(context.Context, pipeline.Input) (any, error) {
			return nil, pipeline.RetryAt(errors.New("closed on Sundays"), time.Now().Add(1000*time.Hour))
		}},
		d.step("c", "waits"),
	}}
	env := environment(t, def)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, env)
	if !errors.Is(err, context.Canceled) || end.Report.Status != pipeline.StatusCanceled {
		t.Fatalf("ended %s with %v, want canceled", end.Report.Status, err)
	}
	if a, _ := end.Report.Step("a"); a.Status != pipeline.StatusSucceeded || string(a.Output) == "" {
		t.Errorf("step a = %+v, want what it did", a)
	}
	if temporal.IsCanceledError(env.GetWorkflowError()) == false {
		t.Errorf("Temporal sees %v, want that it was canceled", env.GetWorkflowError())
	}
}

func TestAStoppedRunIsInterruptedAfterWhatIsAtWork(t *testing.T) {
	var d diary
	var env *testsuite.TestWorkflowEnvironment
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		{Name: "a", Do: func(context.Context, pipeline.Input) (any, error) {
			env.SignalWorkflow(stopSignal, nil) // the workflow has it before the step ends
			d.add("a")
			return 1, nil
		}},
		d.step("b", "a"),
	}}
	env = environment(t, def)
	env.OnUpsertMemo(mock.Anything).Return(nil)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, env)
	if !errors.Is(err, pipeline.ErrStopped) || end.Report.Status != pipeline.StatusInterrupted {
		t.Fatalf("ended %s with %v, want interrupted", end.Report.Status, err)
	}
	if diff := cmp.Diff([]string{"a"}, d.lines); diff != "" {
		t.Errorf("what was run (-want +got):\n%s", diff)
	}
	if a, _ := end.Report.Step("a"); a.Status != pipeline.StatusSucceeded {
		t.Errorf("step a = %s, want that it was let end", a.Status)
	}
}

func TestAQuerySaysHowFarTheRunIs(t *testing.T) {
	var d diary
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		d.step("a"),
		{Name: "waits", Needs: []string{"a"}, Attempts: 2, Do: func(context.Context, pipeline.Input) (any, error) {
			return nil, pipeline.RetryAt(errors.New("not yet"), time.Now().Add(1000*time.Hour))
		}},
	}}
	env := environment(t, def)
	var p progress
	env.RegisterDelayedCallback(func() {
		v, err := env.QueryWorkflow(progressQuery)
		if err != nil {
			t.Error(err)
			return
		}
		if err := v.Get(&p); err != nil {
			t.Error(err)
		}
	}, time.Hour)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	if len(p.Report.Steps) != 2 {
		t.Fatalf("progress = %+v", p)
	}
	if a, w := p.Report.Steps[0], p.Report.Steps[1]; a.Status != pipeline.StatusSucceeded || w.Status != pipeline.StatusRunning || w.Duration < 0 {
		t.Errorf("a is %s, waits is %s for %v, want succeeded, running", a.Status, w.Status, w.Duration)
	}
	if s := p.Steps[1]; s.Until.IsZero() || s.Failure == nil || p.Report.Status != pipeline.StatusRunning {
		t.Errorf("the run is %s and waits until %v because of %v", p.Report.Status, s.Until, s.Failure)
	}
}

func TestWhatTemporalCannotPassOnFailsItsStep(t *testing.T) {
	noise := func(n int) string { // does not compress
		b := make([]byte, n)
		x := uint32(1)
		for i := range b {
			x = x*1664525 + 1013904223
			b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>26]
		}
		return string(b)
	}
	const steps = 40
	def := pipeline.Definition{Name: "p", Parallel: 1}
	for i := range steps {
		def.Steps = append(def.Steps, pipeline.Step{Name: fmt.Sprintf("s%02d", i), Uses: "x.y"})
	}
	text := noise(60 << 10)
	for i := range def.Steps {
		def.Steps[i].Do = func(context.Context, pipeline.Input) (any, error) { return text, nil }
	}
	env := environment(t, def)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	end, err := ended(t, env)
	failed, ok := errors.AsType[*pipeline.StepError](err)
	if !ok || !strings.Contains(failed.Failure.Message, "Temporal passes on") || failed.Failure.Hint == "" {
		t.Fatalf("error = %v, want that of the step whose output is too much", err)
	}
	raw, err := json.Marshal(end)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := packedSize(end); err != nil || n > 2<<20-1<<16 {
		t.Errorf("what the run ended with has %d bytes, %d packed (%v)", len(raw), n, err)
	}
}

func TestAPanicIsAFailureOfTheStep(t *testing.T) {
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "a", Attempts: 3, Do: func(context.Context, pipeline.Input) (any, error) {
		panic(strings.Repeat("x", 1<<20))
	}}}}
	env := environment(t, def)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	_, err := ended(t, env)
	failed, ok := errors.AsType[*pipeline.StepError](err)
	if !ok || failed.Failure.Stack == "" || len(failed.Failure.Message) > maxMessage+3 {
		t.Fatalf("error = %.200v, want a panic of bounded length", err)
	}
}

func TestAnErrorOfTheManagerIsNeverTemporals(t *testing.T) {
	n := 0
	def := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "a", Do: func(context.Context, pipeline.Input) (any, error) {
		n++
		return nil, &perdure.Error{Op: "a", Reason: perdure.ReasonExhausted, Err: errors.New("connection refused")}
	}}}}
	env := environment(t, def)
	env.ExecuteWorkflow(workflowName, input{Plan: freeze(t, def, "r"), Try: 1, Heartbeat: time.Minute})
	if _, err := ended(t, env); err == nil || n != 1 {
		t.Errorf("ran %d times, ended with %v, want once: the step has one attempt", n, err)
	}
}

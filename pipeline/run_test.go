package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
)

func give(v any) Func {
	return func(context.Context, Input) (any, error) { return v, nil }
}

func TestOutputsReachTheStepsThatNeedThem(t *testing.T) {
	d := Definition{Name: "p", Steps: []Step{
		{Name: "sum", Needs: []string{"double"}, Do: func(_ context.Context, in Input) (any, error) {
			var doubled []int
			var start struct{ N int }
			if err := errors.Join(in.Output("double", &doubled), in.Output("start", &start)); err != nil {
				return nil, err
			}
			total := start.N
			for _, n := range doubled {
				total += n
			}
			return total, nil
		}},
		{Name: "start", Do: give(map[string]int{"N": 100})},
		{
			Name: "double", Needs: []string{"start"},
			Items: func(_ context.Context, in Input) ([]Item, error) {
				var params []int
				if err := json.Unmarshal(in.Params, &params); err != nil {
					return nil, err
				}
				var items []Item
				for _, n := range params {
					item, err := NewItem(fmt.Sprintf("n%d", n), n)
					if err != nil {
						return nil, err
					}
					items = append(items, item)
				}
				return items, nil
			},
			Do: func(_ context.Context, in Input) (any, error) {
				var n int
				err := json.Unmarshal(in.Item, &n)
				return 2 * n, err
			},
		},
	}}
	r, err := Run(t.Context(), d, Options{Run: "r", Params: []int{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range r.Steps {
		got[s.Name] = fmt.Sprintf("%s %d %d %s", s.Status, s.Attempts, s.Items, s.Output)
	}
	want := map[string]string{
		"start": `succeeded 1 0 {"N":100}`, "double": `succeeded 4 3 [2,4,6]`, "sum": `succeeded 1 0 112`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestKeyNamesTheEffectWhereverItRuns(t *testing.T) {
	var mu sync.Mutex
	keys := make(map[string]bool)
	do := func(ctx context.Context, _ Input) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		keys[Key(ctx, "insert")] = true
		keys[Key(ctx, "a/b%")] = true
		return nil, nil
	}
	d := Definition{Name: "p", Steps: []Step{
		{Name: "one", Do: do},
		{Name: "each", Do: do, Items: func(context.Context, Input) ([]Item, error) { return []Item{{Name: "x"}, {Name: "y"}}, nil }},
	}}
	if _, err := Run(t.Context(), d, Options{Run: "run-7"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"run-7/one/insert": true, "run-7/each/x/insert": true, "run-7/each/y/insert": true,
		"run-7/one/a%2Fb%25": true, "run-7/each/x/a%2Fb%25": true, "run-7/each/y/a%2Fb%25": true,
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if got := Key(t.Context(), "insert"); got != "" {
		t.Errorf("Key outside a step = %q, want none", got)
	}
}

func TestTheEngineWaitsUntilRetryAtAndHoldsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var tries []time.Duration
		var otherAt time.Duration
		d := Definition{Name: "p", Parallel: 1, Steps: []Step{
			{Name: "down", Attempts: 3, Do: func(context.Context, Input) (any, error) {
				tries = append(tries, time.Since(begin))
				if len(tries) == 1 {
					return nil, &perdure.Error{Op: "x", Reason: perdure.ReasonBreakerOpen, RetryAt: begin.Add(time.Hour), Err: io.EOF}
				}
				if len(tries) == 2 {
					return nil, &perdure.Error{Op: "x", Reason: perdure.ReasonExhausted, Err: io.EOF}
				}
				return nil, nil
			}},
			{Name: "other", Do: func(context.Context, Input) (any, error) {
				otherAt = time.Since(begin)
				return nil, nil
			}},
		}}
		var waits []time.Time
		r, err := Run(t.Context(), d, Options{Run: "r", Observe: func(e Event) {
			if e.Kind == EventWaiting {
				waits = append(waits, e.Until)
			}
		}})
		if err != nil || r.Status != StatusSucceeded {
			t.Fatalf("Run = %s, %v", r.Status, err)
		}
		if diff := cmp.Diff([]time.Duration{0, time.Hour, time.Hour + time.Second}, tries); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Time{begin.Add(time.Hour), begin.Add(time.Hour + time.Second)}, waits); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if otherAt != 0 {
			t.Errorf("the other step ran after %v, want at once: a waiting task holds no place", otherAt)
		}
		if s, _ := r.Step("down"); s.Attempts != 3 || s.Duration != time.Hour+time.Second {
			t.Errorf("down: %d attempts in %v", s.Attempts, s.Duration)
		}
	})
}

func TestAnErrorWithoutVerdictIsNotRepeated(t *testing.T) {
	tries := 0
	d := Definition{Name: "p", Steps: []Step{
		{Name: "bad", Attempts: 5, Do: func(context.Context, Input) (any, error) { tries++; return nil, io.EOF }},
		{Name: "after", Needs: []string{"bad"}, Do: give(1)},
		{Name: "later", Needs: []string{"after"}, Do: give(1)},
		{Name: "apart", Do: give(1)},
	}}
	r, err := Run(t.Context(), d, Options{Run: "r"})
	step, ok := errors.AsType[*StepError](err)
	if !ok || step.Step != "bad" || !errors.Is(err, io.EOF) || tries != 1 {
		t.Errorf("Run = %v after %d tries, want a StepError of bad that is io.EOF after 1", err, tries)
	}
	var got []Status
	for _, s := range r.Steps {
		got = append(got, s.Status)
	}
	if diff := cmp.Diff([]Status{StatusFailed, StatusSkipped, StatusSkipped, StatusSucceeded}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestAPanicIsAFailureWithItsStack(t *testing.T) {
	d := Definition{Name: "p", Steps: []Step{
		{Name: "boom", Attempts: 3, Do: func(context.Context, Input) (any, error) { panic("boom") }},
		{Name: "gone", Attempts: 3, Do: func(context.Context, Input) (any, error) { runtime.Goexit(); return nil, nil }},
		{Name: "fine", Do: give(1)},
	}}
	r, err := Run(t.Context(), d, Options{Run: "r"})
	if err == nil {
		t.Fatal("Run = nil, want an error")
	}
	boom, _ := r.Step("boom")
	if boom.Attempts != 1 || boom.Failure == nil || boom.Failure.Message != "panic: boom" || !strings.Contains(boom.Failure.Stack, "run_test.go") {
		t.Errorf("boom = %+v", boom)
	}
	if _, ok := errors.AsType[*PanicError](boom.Failure.Err); !ok {
		t.Errorf("failure of boom is %v, want a PanicError", boom.Failure.Err)
	}
	if gone, _ := r.Step("gone"); gone.Status != StatusFailed {
		t.Errorf("gone = %s, want failed", gone.Status)
	}
	if fine, _ := r.Step("fine"); fine.Status != StatusSucceeded {
		t.Errorf("fine = %s, want succeeded", fine.Status)
	}
}

func TestCancelDrainsWhatRuns(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	ended := false
	d := Definition{Name: "p", Steps: []Step{
		{Name: "runs", Do: func(ctx context.Context, _ Input) (any, error) {
			cancel(why)
			<-ctx.Done()
			ended = true
			return nil, ctx.Err()
		}},
		{Name: "after", Needs: []string{"runs"}, Do: give(1)},
	}}
	r, err := Run(ctx, d, Options{Run: "r"})
	if !errors.Is(err, why) || !ended || r.Status != StatusCanceled {
		t.Errorf("Run = %s, %v, ended %v", r.Status, err, ended)
	}
	for _, s := range r.Steps {
		if s.Status != StatusCanceled {
			t.Errorf("%s = %s, want canceled", s.Name, s.Status)
		}
	}
}

func TestStopLetsRunningTasksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		d := Definition{Name: "p", Steps: []Step{
			{Name: "runs", Do: func(ctx context.Context, _ Input) (any, error) {
				close(stop)
				synctest.Wait()
				return "done", ctx.Err()
			}},
			{Name: "waits", Attempts: 2, Do: func(context.Context, Input) (any, error) {
				return nil, &perdure.Error{Op: "x", RetryAt: time.Now().Add(time.Hour), Err: io.EOF}
			}},
			{Name: "after", Needs: []string{"runs"}, Do: give(1)},
		}}
		r, err := Run(t.Context(), d, Options{Run: "r", Stop: stop})
		if !errors.Is(err, ErrStopped) {
			t.Errorf("Run = %v, want ErrStopped", err)
		}
		var got []Status
		for _, s := range r.Steps {
			got = append(got, s.Status)
		}
		if diff := cmp.Diff([]Status{StatusSucceeded, StatusCanceled, StatusCanceled}, got); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
	})
}

func TestTimeoutEndsOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Definition{Name: "p", Steps: []Step{{Name: "slow", Timeout: time.Minute, Do: func(ctx context.Context, _ Input) (any, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}}}
		_, err := Run(t.Context(), d, Options{Run: "r"})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "timeout of 1m0s") {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestAnOutputTooLargeFailsTheStep(t *testing.T) {
	big := strings.Repeat("x", MaxOutput)
	for name, step := range map[string]Step{
		"of a step": {Name: "s", Do: give(big)},
		"of all its items together": {
			Name: "s", Do: give(big[:MaxOutput/2]),
			Items: func(context.Context, Input) ([]Item, error) {
				return []Item{{Name: "a"}, {Name: "b"}, {Name: "c"}}, nil
			},
		},
		"that is no JSON": {Name: "s", Do: give(make(chan int))},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(t.Context(), Definition{Name: "p", Steps: []Step{step}}, Options{Run: "r"}); err == nil {
				t.Error("Run = nil, want an error")
			}
		})
	}
}

func TestItemsWithBadNamesFailTheStep(t *testing.T) {
	for name, items := range map[string][]Item{
		"twice": {{Name: "a"}, {Name: "a"}}, "a slash": {{Name: "a/b"}}, "empty": {{}},
	} {
		t.Run(name, func(t *testing.T) {
			d := Definition{Name: "p", Steps: []Step{{Name: "s", Do: give(1), Items: func(context.Context, Input) ([]Item, error) { return items, nil }}}}
			if _, err := Run(t.Context(), d, Options{Run: "r"}); err == nil {
				t.Error("Run = nil, want an error")
			}
		})
	}
}

func TestProgressReachesTheObserver(t *testing.T) {
	var got []string
	d := Definition{Name: "p", Parallel: 1, Steps: []Step{
		{Name: "parts", Do: func(ctx context.Context, _ Input) (any, error) {
			Progress(ctx, 1, 2)
			Progress(ctx, 2, 2)
			return nil, nil
		}},
		{Name: "items", Do: give(1), Items: func(context.Context, Input) ([]Item, error) { return []Item{{Name: "a"}, {Name: "b"}}, nil }},
	}}
	if _, err := Run(t.Context(), d, Options{Run: "r", Observe: func(e Event) {
		got = append(got, fmt.Sprintf("%d %s %s %d/%d", e.Kind, e.Step, e.Item, e.Done, e.Total))
	}}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 parts  0/0", "1 parts  1/2", "1 parts  2/2", "3 parts  1/0",
		"0 items  0/0", "1 items  0/2", "1 items a 1/2", "1 items b 2/2", "3 items  2/2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

package component_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/component"
)

// methods loads and starts a component "c" with these methods.
func methods(tb testing.TB, cfg component.Config, all ...component.Callable) *component.Loader {
	tb.Helper()
	cfg.Factories = append(cfg.Factories, component.Factory{Name: "c", Methods: all})
	l, err := component.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := l.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return l
}

func count(t *testing.T, l *component.Loader, method string) component.MethodCount {
	t.Helper()
	for _, s := range l.Snapshot() {
		for _, m := range s.Methods {
			if s.Name == "c" && m.Name == method {
				return m
			}
		}
	}
	t.Fatalf("there is no c.%s", method)
	return component.MethodCount{}
}

// wantReason checks an error's reason and text.
func wantReason(t *testing.T, err error, reason component.Reason, text string) {
	t.Helper()
	e, ok := errors.AsType[*component.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *component.Error", err)
	}
	if e.Reason != reason {
		t.Errorf("got the reason %v of %v, want %v", e.Reason, err, reason)
	}
	wantText(t, err, text)
	if e.CorrelationID == "" && reason != component.ReasonUnknown {
		t.Errorf("%v has no correlation ID", err)
	}
}

func TestAMethodThatHangsIsAbandonedAndKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan component.ReturnedEvent, 2)
		l := methods(t, component.Config{Hooks: component.Hooks{Returned: func(e component.ReturnedEvent) { returned <- e }}},
			component.Method("hang", func(context.Context, struct{}) (int, error) {
				<-time.After(time.Hour)
				return 1, nil
			}).With(component.Options{Timeout: 10 * time.Second, MaxConcurrent: 2, MaxQueued: 5}))
		var all sync.WaitGroup
		errs := make([]error, 3)
		begun := time.Now()
		for i := range errs {
			all.Go(func() { _, errs[i] = l.Invoke(t.Context(), "c", "hang", nil) })
			synctest.Wait()
		}
		if c := count(t, l, "hang"); c.Running != 2 || c.Queued != 1 || c.Abandoned != 0 {
			t.Errorf("counts %+v", c)
		}
		all.Wait()
		if got := time.Since(begun); got != 11*time.Second {
			t.Errorf("it took %v, want the timeout and the grace", got)
		}
		const hung = "c.hang: did not return within 1s after the end of its context (timeout of 10s), and still runs"
		for _, err := range errs[:2] {
			wantReason(t, err, component.ReasonAbandoned, hung)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is no DeadlineExceeded", err)
			}
		}
		wantReason(t, errs[2], component.ReasonTimeout, "c.hang: while waiting for one of 2 places: timeout of 10s")
		_, err := l.Invoke(t.Context(), "c", "hang", nil)
		wantReason(t, err, component.ReasonBusy,
			"c.hang: busy: all 2 places are held by invocations that did not return after their context had ended")
		if c := count(t, l, "hang"); c.Running != 0 || c.Abandoned != 2 || c.Failed[component.ReasonAbandoned] != 2 {
			t.Errorf("counts %+v", c)
		}
		wantText(t, l.Stop(t.Context()), "component c: stop: 2 abandoned invocations still run")
		<-time.After(time.Hour)
		synctest.Wait()
		if c := count(t, l, "hang"); c.Running != 0 || c.Abandoned != 0 {
			t.Errorf("counts %+v", c)
		}
		for range 2 {
			if e := <-returned; e.Elapsed != time.Hour || e.Err != nil {
				t.Errorf("returned: %+v", e)
			}
		}
	})
}

func TestWhoWaitsWhenTheLastPlaceIsAbandonedFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := methods(t, component.Config{}, component.Method("hang", func(context.Context, struct{}) (int, error) {
			<-time.After(time.Hour)
			return 1, nil
		}).With(component.Options{MaxConcurrent: 1}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { _, _ = l.Invoke(ctx, "c", "hang", nil) }()
		synctest.Wait()
		_, err := l.Invoke(t.Context(), "c", "hang", nil) // without an end of its own
		wantReason(t, err, component.ReasonBusy,
			"c.hang: busy: all 1 places are held by invocations that did not return after their context had ended")
		<-time.After(time.Hour)
	})
}

func TestAMethodThatReturnsWithinTheGraceIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("commit in doubt")
		l := methods(t, component.Config{},
			component.Method("slow", func(ctx context.Context, in bool) (string, error) {
				<-ctx.Done()
				<-time.After(time.Second / 2)
				if in {
					return "done all the same", nil
				}
				return "", lost
			}).With(component.Options{Timeout: time.Second}))
		out, err := component.Call[bool, string](t.Context(), l, "c", "slow", true)
		if err != nil || out != "done all the same" {
			t.Errorf("got %q, %v", out, err)
		}
		_, err = component.Call[bool, string](t.Context(), l, "c", "slow", false)
		wantReason(t, err, component.ReasonTimeout, "c.slow: timeout of 1s: commit in doubt")
		if !errors.Is(err, lost) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is not both errors", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the client has gone")
		cancel(gone)
		_, err = l.Invoke(ctx, "c", "slow", json.RawMessage("true"))
		wantReason(t, err, component.ReasonCanceled, "c.slow: the client has gone")
		if !errors.Is(err, gone) {
			t.Errorf("%v is not the cause", err)
		}
	})
}

func TestTheTimeoutOfAnInvocationAroundItIsNotItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reasons := map[string]component.Reason{}
		var l *component.Loader
		l = methods(t, component.Config{Hooks: component.Hooks{InvokeEnd: func(_ context.Context, e component.InvokeEvent) { reasons[e.Method] = e.Reason }}},
			component.Method("inner", func(ctx context.Context, _ struct{}) (int, error) { return 0, takes(time.Hour)(ctx) }).
				With(component.Options{Timeout: time.Minute}),
			component.Method("outer", func(ctx context.Context, _ struct{}) (json.RawMessage, error) {
				return l.Invoke(ctx, "c", "inner", nil)
			}).With(component.Options{Timeout: time.Second}))
		_, err := l.Invoke(t.Context(), "c", "outer", nil)
		wantReason(t, err, component.ReasonTimeout, "c.outer: c.inner: timeout of 1s")
		want := map[string]component.Reason{"outer": component.ReasonTimeout, "inner": component.ReasonCanceled}
		if diff := cmp.Diff(want, reasons); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}

func TestQueueIsFairAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []int
		l := methods(t, component.Config{}, component.Method("one", func(_ context.Context, in int) (int, error) {
			order = append(order, in) // one at a time
			<-time.After(time.Second)
			return in, nil
		}).With(component.Options{MaxConcurrent: 1, MaxQueued: 3}))
		var all sync.WaitGroup
		gone, cancel := context.WithCancel(t.Context())
		for i := range 4 {
			ctx := t.Context()
			if i == 2 {
				ctx = gone
			}
			all.Go(func() {
				_, err := component.Call[int, int](ctx, l, "c", "one", i)
				if (err != nil) != (i == 2) {
					t.Errorf("%d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		_, err := component.Call[int, int](t.Context(), l, "c", "one", 4)
		wantReason(t, err, component.ReasonBusy, "c.one: busy: 1 invocations run and 3 wait")
		cancel()
		all.Wait()
		if diff := cmp.Diff([]int{0, 1, 3}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if c := count(t, l, "one"); c.Running != 0 || c.Queued != 0 || c.Succeeded != 3 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestAMethodThatInvokesItselfDoesNotWaitForItself(t *testing.T) {
	var l *component.Loader
	l = methods(t, component.Config{}, component.Method("down", func(ctx context.Context, in int) (int, error) {
		if in == 0 {
			return 0, nil
		}
		return component.Call[int, int](ctx, l, "c", "down", in-1)
	}).With(component.Options{MaxConcurrent: 3}))
	if _, err := component.Call[int, int](t.Context(), l, "c", "down", 2); err != nil {
		t.Error(err)
	}
	_, err := component.Call[int, int](t.Context(), l, "c", "down", 3)
	wantReason(t, err, component.ReasonFailed, "c.down: c.down: c.down: c.down: busy: it invokes itself while all its 3 places are taken")
}

func TestStopLetsInvocationsEndThenEndsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := methods(t, component.Config{StopTimeout: 10 * time.Second},
			component.Method("wait", func(ctx context.Context, in time.Duration) (int, error) { return 0, takes(in)(ctx) }))
		var all sync.WaitGroup
		var short, long error
		all.Go(func() { _, short = component.Call[time.Duration, int](t.Context(), l, "c", "wait", 5*time.Second) })
		all.Go(func() { _, long = component.Call[time.Duration, int](t.Context(), l, "c", "wait", time.Hour) })
		synctest.Wait()
		begun := time.Now()
		all.Go(func() {
			if err := l.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if got := time.Since(begun); got != 10*time.Second {
				t.Errorf("Stop took %v", got)
			}
		})
		synctest.Wait()
		_, err := component.Call[time.Duration, int](t.Context(), l, "c", "wait", 0)
		wantReason(t, err, component.ReasonNotRunning, "c.wait: component c is stopping")
		all.Wait()
		if short != nil {
			t.Error(short)
		}
		wantReason(t, long, component.ReasonCanceled, "c.wait: the component is being stopped")
	})
}

func TestOnlyIdempotentMethodsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := perdure.New(perdure.Config{Name: "db", Budget: perdure.BudgetConfig{Off: true}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(t.Context())
		var calls, ids atomic.Int64
		flaky := func(ctx context.Context, in int) (int, error) {
			if perdure.CorrelationID(ctx) == "id" {
				ids.Add(1)
			}
			if n := calls.Add(1); n < int64(in) {
				return 0, perdure.Transient(fmt.Errorf("failure %d", n))
			}
			return int(calls.Load()), nil
		}
		var ends []component.InvokeEvent
		l := methods(t, component.Config{
			Manager: m,
			Hooks:   component.Hooks{InvokeEnd: func(_ context.Context, e component.InvokeEvent) { ends = append(ends, e) }},
		},
			component.Method("plain", flaky),
			component.Method("idempotent", flaky).With(component.Options{Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 5, Breaker: breaker.Config{Rule: breaker.Off}}}),
			component.Method("panics", func(context.Context, struct{}) (int, error) { calls.Add(1); panic(perdure.Transient(errors.New("x"))) }).
				With(component.Options{Idempotent: true}))
		var known []string
		for _, o := range m.Snapshot().Operations {
			known = append(known, o.Name)
		}
		if diff := cmp.Diff([]string{"c.idempotent", "c.panics"}, known); diff != "" {
			t.Errorf("operations before the first call (-want +got):\n%s", diff)
		}
		ctx := perdure.WithCorrelationID(t.Context(), "id")
		_, err = component.Call[int, int](ctx, l, "c", "plain", 3)
		wantReason(t, err, component.ReasonFailed, "c.plain: failure 1")
		calls.Store(0)
		if out, err := component.Call[int, int](ctx, l, "c", "idempotent", 5); err != nil || out != 5 {
			t.Errorf("got %v, %v", out, err)
		}
		calls.Store(0)
		_, err = component.Call[int, int](ctx, l, "c", "idempotent", 9)
		if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Attempts != 5 || !strings.HasPrefix(err.Error(), "c.idempotent: 5 attempts in ") {
			t.Errorf("got %v", err)
		}
		calls.Store(0)
		_, err = l.Invoke(ctx, "c", "panics", nil)
		if e, ok := errors.AsType[*component.Error](err); !ok || e.Reason != component.ReasonPanicked || calls.Load() != 1 || e.Stack == nil {
			t.Errorf("after %d calls got %v", calls.Load(), err)
		}
		var attempts []int
		for _, e := range ends {
			attempts = append(attempts, e.Attempts)
			if e.CorrelationID != "id" {
				t.Errorf("the event of %s has the ID %q", e.Method, e.CorrelationID)
			}
		}
		if diff := cmp.Diff([]int{1, 5, 5, 1}, attempts); diff != "" || ids.Load() != 11 {
			t.Errorf("%d IDs; attempts (-want +got):\n%s", ids.Load(), diff)
		}
	})
}

type traceKey struct{}

func TestHooksTellOfEachInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		hooks := func(name string) component.Hooks {
			return component.Hooks{
				CorrelationID: func(context.Context) string { return "trace of " + name },
				InvokeStart: func(ctx context.Context, e component.InvokeStartEvent) context.Context {
					told = append(told, fmt.Sprintf("%s: %s.%s begins with %d bytes, %s", name, e.Component, e.Method, e.InputBytes, e.CorrelationID))
					return context.WithValue(ctx, traceKey{}, name)
				},
				InvokeEnd: func(ctx context.Context, e component.InvokeEvent) {
					told = append(told, fmt.Sprintf("%s: %s.%s ends after %v, %d attempts, %d bytes: %v %v, %s, under %v",
						name, e.Component, e.Method, e.Elapsed, e.Attempts, e.OutputBytes, e.Reason, e.Err, e.CorrelationID, ctx.Value(traceKey{})))
				},
			}
		}
		l := methods(t, component.Config{Hooks: component.JoinHooks(hooks("a"), component.JoinHooks(hooks("b"), component.Hooks{}))},
			component.Method("wait", func(ctx context.Context, in time.Duration) (string, error) {
				<-time.After(in)
				return perdure.CorrelationID(ctx) + ", " + ctx.Value(traceKey{}).(string), nil
			}))
		out, err := component.Call[time.Duration, string](t.Context(), l, "c", "wait", time.Second)
		if err != nil || out != "trace of a, b" {
			t.Errorf("got %q, %v", out, err)
		}
		_, _ = l.Invoke(t.Context(), "c", "wait", json.RawMessage(`"x"`))
		if diff := cmp.Diff([]string{
			"a: c.wait begins with 10 bytes, trace of a", "b: c.wait begins with 10 bytes, trace of a",
			"a: c.wait ends after 1s, 1 attempts, 15 bytes:  <nil>, trace of a, under b",
			"b: c.wait ends after 1s, 1 attempts, 15 bytes:  <nil>, trace of a, under b",
			"a: c.wait begins with 3 bytes, trace of a", "b: c.wait begins with 3 bytes, trace of a",
			"a: c.wait ends after 0s, 0 attempts, 0 bytes: input c.wait: input: /: want integer, got string, trace of a, under b",
			"b: c.wait ends after 0s, 0 attempts, 0 bytes: input c.wait: input: /: want integer, got string, trace of a, under b",
		}, told); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
	})
}

func TestCallerAndMethodShareNoMemory(t *testing.T) {
	kept := make(chan json.RawMessage, 1)
	l := methods(t, component.Config{}, component.Method("keep", func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
		kept <- in
		return in, nil
	}))
	in := json.RawMessage(`{"a": 1}`)
	out, err := l.Invoke(t.Context(), "c", "keep", in)
	if err != nil {
		t.Fatal(err)
	}
	held := <-kept
	for i := range in {
		in[i] = 'x'
	}
	if string(held) != `{"a": 1}` || string(out) != `{"a":1}` {
		t.Errorf("the method has %s, the caller %s", held, out)
	}
}

func FuzzInvoke(f *testing.F) {
	for _, seed := range []string{`{"items": [{"id": 1}]}`, `{"items": [[[]]]}`, `[`, `"\ud800"`, `{"items": null}`, ``} {
		f.Add([]byte(seed))
	}
	l, err := component.New(component.Config{
		Factories:  factories(),
		Components: []component.Spec{{Name: "features"}, {Name: "store", Config: json.RawMessage(`{"table": "feature"}`)}},
		MaxDepth:   8, MaxInput: 1 << 12,
	})
	if err != nil {
		f.Fatal(err)
	}
	if err := l.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := l.Invoke(t.Context(), "features", "build", in)
		if err != nil {
			if e, ok := errors.AsType[*component.Error](err); !ok || e.Reason != component.ReasonInput {
				t.Errorf("Invoke(%q) = %v", in, err)
			}
			return
		}
		var rows BuildOutput
		if err := json.Unmarshal(out, &rows); err != nil {
			t.Errorf("Invoke(%q) = %s: %v", in, out, err)
		}
	})
}

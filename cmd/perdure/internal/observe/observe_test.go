package observe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// watching is a Manager under an Observer that runs, in a bubble of its own time.
type watching struct {
	*testing.T

	m *perdure.Manager
	o *observe.Observer
}

func watch(t *testing.T, mcfg perdure.Config, cfg observe.Config, do func(w watching)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, err := perdure.New(mcfg)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Sources = append(cfg.Sources, observe.Source{Manager: m})
		o, err := observe.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := o.Run(ctx); err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
		synctest.Wait()
		do(watching{t, m, o})
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		cancel()
		running.Wait()
	})
}

// after lets time pass in the bubble.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w watching) texts() []string {
	w.Helper()
	events, missed := w.o.Events(0)
	if missed {
		w.Error("Events(0) says that events are missed: it asked for all there are")
	}
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s %s %d: %s", e.Severity, e.Kind, e.Operation, e.Count, e.Text))
	}
	return out
}

var (
	load    = perdure.Op{Name: "features.load", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 1}}
	errOwn  = errors.New("password=hunter2 leaked by a careless driver")
	succeed = func(context.Context) error { return nil }
	lost    = func(context.Context) error { return perdure.Transient(errOwn) }
)

func TestATenThousandfoldStormIsOneLineASecond(t *testing.T) {
	cfg := perdure.Config{Policy: perdure.Policy{Breaker: breaker.Config{Rule: breaker.Off}}, Database: breaker.Config{Rule: breaker.Off}}
	watch(t, cfg, observe.Config{}, func(w watching) {
		after(100 * time.Millisecond) // off the tick
		for range 3 {
			for range 10_000 {
				_ = w.m.Do(w.Context(), load, lost)
			}
			after(time.Second)
		}
		after(2 * time.Second)
		want := []string{
			"warning give_up features.load 1: A call failed: all attempts failed (transient).",
			"warning give_up features.load 9999: 9,999 calls failed: all attempts failed (transient).",
			"warning give_up features.load 10000: 10,000 calls failed: all attempts failed (transient).",
			"warning give_up features.load 10000: 10,000 calls failed: all attempts failed (transient).",
		}
		if diff := cmp.Diff(want, w.texts()); diff != "" {
			w.Errorf("events (-want +got):\n%s", diff)
		}
		stories := w.o.Stories()
		if len(stories) != 1 || stories[0].Count != 30_000 || stories[0].To.Sub(stories[0].From) < 2*time.Second {
			w.Errorf("Stories() = %+v, want one of 30,000 calls over more than 2s", stories)
		}
		_ = w.m.Do(w.Context(), load, lost) // after a quiet second the first is told at once again
		if got := w.texts(); len(got) != len(want)+1 || got[len(want)] != want[0] {
			w.Errorf("after a pause the events end with %q, want %q", got[len(got)-1], want[0])
		}
	})
}

func TestManyOperationsAreOneLine(t *testing.T) {
	watch(t, perdure.Config{Policy: perdure.Policy{MaxAttempts: 1}, Database: breaker.Config{Rule: breaker.Off}}, observe.Config{}, func(w watching) {
		for range 2 {
			for i := range 300 {
				_ = w.m.Do(w.Context(), perdure.Op{Name: fmt.Sprintf("op-%d", i), Idempotent: true}, lost)
			}
			after(1100 * time.Millisecond)
		}
		events, _ := w.o.Events(0)
		var calls uint64
		for _, e := range events {
			calls += e.Count
		}
		if len(events) > 60 {
			w.Errorf("%d events of 600 give-ups, want at most 60", len(events))
		}
		if calls != 600 {
			w.Errorf("the events count %d give-ups, want 600", calls)
		}
	})
}

func TestAnOutageIsToldInSentences(t *testing.T) {
	waiting := perdure.Op{Name: "orders.claim", Idempotent: true, Policy: &perdure.Policy{Park: time.Minute}}
	watch(t, perdure.Config{}, observe.Config{}, func(w watching) {
		var down atomic.Bool
		if _, err := w.m.SetProbe(func(context.Context) error {
			if down.Load() {
				return syscall.ECONNREFUSED
			}
			return nil
		}); err != nil {
			w.Fatal(err)
		}
		down.Store(true)
		w.m.Breaker("database").Trip("test")
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() { _ = w.m.Do(w.Context(), waiting, succeed) })
		}
		after(100 * time.Millisecond)
		_ = w.m.Do(w.Context(), load, succeed)
		after(4 * time.Second)
		m := w.o.Managers()[0]
		if m.Parked != 3 || m.Probe.Misses == 0 || m.Changes["database"].Since.IsZero() {
			w.Errorf("in an outage: parked %d, probe %+v, change %+v", m.Parked, m.Probe, m.Changes["database"])
		}
		down.Store(false)
		calls.Wait()
		after(3 * time.Second)
		all := strings.Join(w.texts(), "\n")
		for _, want := range []string{
			"critical breaker database 1: The database does not answer (test): its breaker is open.",
			"info parked orders.claim 1: A call waits for the database.",
			"info parked orders.claim 2: 2 calls began to wait for the database.",
			"warning give_up features.load 1: A call was refused: a breaker is open.",
			"info breaker database 1: The database answers: a few calls are let through to try.",
			"good breaker database 1: Well again after 4.",
			"calls go on after waiting up to 4.",
		} {
			if !strings.Contains(all, want) {
				w.Errorf("the events lack %q:\n%s", want, all)
			}
		}
		if c := w.o.Managers()[0].Changes["database"]; c.To != breaker.Closed || !c.Since.IsZero() {
			w.Errorf("after the outage the last change is %+v, want closed and no trouble since", c)
		}
	})
}

func TestHoldsNameTheirReason(t *testing.T) {
	watch(t, perdure.Config{}, observe.Config{}, func(w watching) {
		b := w.m.Breaker("database")
		b.HoldClosed("drill")
		b.Release()
		b.HoldOpen("disk")
		want := []string{
			"warning breaker database 1: A person holds the breaker closed: “drill”. Every call passes, whatever fails.",
			"info breaker database 1: The hold is released: the breaker decides again.",
			"warning breaker database 1: A person holds the breaker open: “disk”. No call passes until it is released.",
		}
		if diff := cmp.Diff(want, w.texts()); diff != "" {
			w.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestCommitsAndBudget(t *testing.T) {
	cfg := perdure.Config{Budget: perdure.BudgetConfig{Floor: -1}, Policy: perdure.Policy{Backoff: backoff.Config{Initial: time.Millisecond}}}
	watch(t, cfg, observe.Config{}, func(w watching) {
		for _, r := range []perdure.Resolution{perdure.Committed, perdure.Aborted, perdure.Run, perdure.Remembered} {
			w.m.CommitOutcome(w.Context(), perdure.OutcomeEvent{Op: "orders.claim", Key: "secret-key", Resolution: r, Method: "marker", Evidence: "secret evidence"})
		}
		for i := range 60 {
			ctx := perdure.WithCorrelationID(w.Context(), fmt.Sprintf("id-%d", i))
			w.m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "orders.claim", Key: "secret-key", Resolution: perdure.Undecided, Method: "token"})
		}
		_ = w.m.Do(w.Context(), perdure.Op{Name: "p", Idempotent: true}, lost)
		after(2 * time.Second)
		got := strings.Join(w.texts(), "\n")
		for _, want := range []string{
			"good commit orders.claim 1: A commit lost its reply and is proven committed (by its marker).",
			"info commit orders.claim 1: A commit lost its reply and is proven not committed (by its marker): its work may be done again.",
			"info commit orders.claim 1: Work was found done already, and not done twice.",
			"critical commit orders.claim 1: It cannot be known whether a commit happened (by its token). Look whether its work is there before doing it again.",
			"warning budget p 1: Retry budget spent: a call was not repeated.",
			"warning give_up p 1: A call failed: the retry budget could not pay for a repeat (transient).",
		} {
			if !strings.Contains(got, want) {
				w.Errorf("the events lack %q:\n%s", want, got)
			}
		}
		for _, leak := range []string{"secret", "hunter2"} {
			if strings.Contains(got, leak) {
				w.Errorf("the events hold %q:\n%s", leak, got)
			}
		}
		m := w.o.Managers()[0]
		if n := len(m.Unknown); n != 50 || m.Unknown[49].CorrelationID != "id-59" {
			w.Errorf("%d unknown commits are kept, the last is %+v; want 50 up to id-59", n, m.Unknown[n-1])
		}
		if m.BudgetRefused.IsZero() {
			w.Error("the refusal of the budget is not dated")
		}
	})
}

func TestRatesAndQuantilesOfTheLastTenSeconds(t *testing.T) {
	watch(t, perdure.Config{}, observe.Config{}, func(w watching) {
		after(500 * time.Millisecond)
		for range 12 {
			for i := range 100 {
				_ = w.m.Do(w.Context(), load, func(context.Context) error {
					<-time.After(time.Duration(1+i/99*19) * 100 * time.Microsecond) // 99 of 0.1 ms, one of 2 ms
					return nil
				})
			}
			after(time.Second - 119*100*time.Microsecond)
		}
		m := w.o.Managers()[0]
		r := m.Recent["features.load"]
		if r.Calls < 95 || r.Calls > 105 || r.Failed != 0 {
			w.Errorf("rates = %+v, want 100 calls a second and none failed", r)
		}
		if r.P50 < 100*time.Microsecond || r.P50 > 125*time.Microsecond || r.P99 < 2*time.Millisecond || r.P99 > 2500*time.Microsecond {
			w.Errorf("p50 %s, p99 %s; want 100µs and 2ms, exact to 25 %%", r.P50, r.P99)
		}
		if n := len(m.History); n != 13 || n != len(m.Histories["features.load"])+1 {
			w.Errorf("%d points, %d of the operation; want 13 and 12: the operation came later", n, len(m.Histories["features.load"]))
		}
		after(10 * time.Minute)
		m = w.o.Managers()[0]
		if len(m.History) != 300 || m.Rates.Calls != 0 {
			w.Errorf("after ten idle minutes: %d points, %v calls a second; want 300 and 0", len(m.History), m.Rates.Calls)
		}
		for i := 1; i < len(m.History); i++ {
			if m.History[i].At.Sub(m.History[i-1].At) != time.Second {
				w.Fatalf("points %d and %d are %s apart, want a second", i-1, i, m.History[i].At.Sub(m.History[i-1].At))
			}
		}
	})
}

func TestTheHistoryIsOfTheOperationsCalledLast(t *testing.T) {
	watch(t, perdure.Config{}, observe.Config{MaxOperations: 3}, func(w watching) {
		for i := range 10 {
			_ = w.m.Do(w.Context(), perdure.Op{Name: fmt.Sprintf("op-%d", i)}, succeed)
			after(11 * time.Second)
		}
		m := w.o.Managers()[0]
		if len(m.Histories) != 3 || len(m.Operations) != 10 {
			w.Errorf("%d histories of %d operations, want 3 of 10", len(m.Histories), len(m.Operations))
		}
		if m.Histories["op-9"] == nil {
			w.Error("the operation that was called last has no history")
		}
	})
}

func TestNamesMustDiffer(t *testing.T) {
	a, b := manager(t, "same"), manager(t, "same")
	if _, err := observe.New(observe.Config{Sources: []observe.Source{{Manager: a}, {Manager: b}}}); err == nil || !strings.Contains(err.Error(), `two Managers are named "same"`) {
		t.Errorf("New() = %v, want two of the same name refused", err)
	}
	if _, err := observe.New(observe.Config{Sources: []observe.Source{{}}}); err == nil {
		t.Error("New() accepts no Manager")
	}
	o, err := observe.New(observe.Config{})
	if err != nil {
		t.Fatal(err)
	}
	remove, err := o.Add(observe.Source{Manager: a, Pool: func() observe.Pool { return observe.Pool{Max: 7} }})
	if err != nil {
		t.Fatal(err)
	}
	if ms := o.Managers(); len(ms) != 1 || ms[0].Pool.Max != 7 {
		t.Errorf("Managers() = %+v, want one with a pool of 7", ms)
	}
	if err := o.SetPool("same", func() observe.Pool { return observe.Pool{Max: 8} }); err != nil || o.Managers()[0].Pool.Max != 8 {
		t.Errorf("SetPool() = %v, then a pool of %d, want 8", err, o.Managers()[0].Pool.Max)
	}
	if err := o.SetPool("nobody", nil); err == nil {
		t.Error("SetPool() accepts the pool of nobody")
	}
	remove()
	a.Breaker("database").Trip("nobody looks")
	if ms := o.Managers(); len(ms) != 0 {
		t.Errorf("Managers() = %+v after remove", ms)
	}
	if events, _ := o.Events(0); len(events) != 0 {
		t.Errorf("Events() = %+v of a Manager that is not watched any more", events)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func manager(tb testing.TB, name string) *perdure.Manager {
	tb.Helper()
	m, err := perdure.New(perdure.Config{Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

package perdure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// ledger gathers how calls ended.
type ledger struct {
	ends   []perdure.Reason
	errs   []error
	parked int // less those released
	spent  int
}

func (l *ledger) hooks() perdure.Hooks {
	return perdure.Hooks{
		CallEnd: func(_ context.Context, e perdure.CallEvent) {
			l.ends = append(l.ends, e.Reason)
			l.errs = append(l.errs, e.Err)
		},
		BudgetSpent: func(context.Context, perdure.BudgetEvent) { l.spent++ },
		Parked:      func(context.Context, perdure.ParkEvent) { l.parked++ },
		Released:    func(context.Context, perdure.ParkEvent) { l.parked-- },
	}
}

func TestAPanicIsToldAndCounted(t *testing.T) {
	var l ledger
	bubble(t, perdure.Config{Hooks: l.hooks()}, func(t managed) {
		for name, end := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = t.m.Do(t.Context(), perdure.Op{Name: name}, func(context.Context) error { end(); return nil })
			}()
			<-done
		}
		if want := []perdure.Reason{perdure.ReasonPanicked, perdure.ReasonPanicked}; !cmp.Equal(l.ends, want) {
			t.Errorf("calls ended by %v, want %v", l.ends, want)
		}
		for _, o := range t.m.Snapshot().Operations {
			if n := o.Failed[perdure.ReasonPanicked]; n != 1 || o.Calls.Count != 1 {
				t.Errorf("%s: %d panics of %d calls, want 1 of 1", o.Name, n, o.Calls.Count)
			}
		}
	})
}

func TestAPanickingClassifyReturnsThePermit(t *testing.T) {
	op := perdure.Op{Name: "test.panics", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle, MaxAttempts: 1}}
	classify := func(err error) (pgerr.Verdict, bool) {
		if errors.Is(err, errOwn) {
			panic("classify")
		}
		return pgerr.Verdict{}, false
	}
	bubble(t, perdure.Config{Classify: classify}, func(t managed) {
		_ = t.m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second) // half-open: one permit
		func() {
			defer func() { _ = recover() }()
			_ = t.m.Do(t.Context(), op, func(context.Context) error { return errOwn })
		}()
		if err := t.m.Do(t.Context(), op, succeed); err != nil {
			t.Errorf("after Classify panicked: %v, want the permit to be free", err)
		}
	})
}

func TestAPanickingHookReturnsThePermit(t *testing.T) {
	op := perdure.Op{Name: "test.parks", Policy: &perdure.Policy{Park: time.Hour}}
	cfg := perdure.Config{
		Database: breaker.Config{SuccessThreshold: 1},
		Hooks:    perdure.Hooks{Released: func(context.Context, perdure.ParkEvent) { panic("hook") }},
	}
	bubble(t, cfg, func(t managed) {
		db := t.m.Breaker("database")
		db.Trip("test")
		func() {
			defer func() { _ = recover() }()
			_ = t.m.Do(t.Context(), op, succeed)
		}()
		if err := t.m.Do(t.Context(), once, succeed); err != nil || db.State() != breaker.Closed {
			t.Errorf("after a hook panicked: %v, breaker %s; want the half-open breaker's one permit to be free", err, db.State())
		}
	})
}

func TestACallParkedUntilCloseIsToldToEnd(t *testing.T) {
	var l ledger
	bubble(t, perdure.Config{Hooks: l.hooks()}, func(t managed) {
		t.m.Breaker("database").HoldOpen("test")
		done := make(chan error)
		go func() {
			done <- t.m.Do(t.Context(), perdure.Op{Name: "p", Policy: &perdure.Policy{Park: time.Hour}}, succeed)
		}()
		synctest.Wait()
		if err := t.m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, perdure.ErrClosed) {
			t.Errorf("the parked call got %v, want ErrClosed", err)
		}
		if l.parked != 0 || !cmp.Equal(l.ends, []perdure.Reason{perdure.ReasonCanceled}) {
			t.Errorf("told of ends %v with %d still parked, want [canceled] and none", l.ends, l.parked)
		}
	})
}

func TestARefusalIsCountedOnce(t *testing.T) {
	op := perdure.Op{Name: "p", Policy: &perdure.Policy{Park: time.Minute}}
	bubble(t, perdure.Config{}, func(t managed) {
		t.m.Breaker("database").HoldOpen("test")
		_ = t.m.Do(t.Context(), op, succeed)
		o := t.m.Snapshot().Operations[0]
		if o.Rejected != 1 || o.Failed[perdure.ReasonBreakerOpen] != 1 {
			t.Errorf("rejected %d, failed %v; want 1 and the same 1", o.Rejected, o.Failed)
		}
	})
}

func TestABudgetWaitIsAParkedCall(t *testing.T) {
	var l ledger
	op := perdure.Op{Name: "p", Idempotent: true, Policy: &perdure.Policy{Park: 10 * time.Second}}
	bubble(t, perdure.Config{Hooks: l.hooks(), Budget: perdure.BudgetConfig{Floor: -1}}, func(t managed) {
		begun := time.Now()
		done := make(chan error)
		go func() {
			done <- t.m.Do(t.Context(), op, func(context.Context) error { return perdure.Transient(errOwn) })
		}()
		sleep(t.Context(), time.Second)
		if n := t.m.Snapshot().Parked; n != 1 {
			t.Errorf("%d parked, want 1", n)
		}
		err := <-done
		if d := time.Since(begun); !errors.Is(err, perdure.ErrBudgetSpent) || d > 10*time.Second+50*time.Millisecond {
			t.Errorf("Do() = %v after %s, want budget spent after 10s of parking", err, d)
		}
		if s := t.m.Snapshot(); s.Budget.Refused != 1 || l.spent != 1 || s.Parked != 0 {
			t.Errorf("refused %d, told %d times, parked %d; want 1, 1 and 0", s.Budget.Refused, l.spent, s.Parked)
		}
	})
}

func TestBudgetWaitsAreBounded(t *testing.T) {
	op := perdure.Op{Name: "p", Idempotent: true, Policy: &perdure.Policy{Park: time.Hour}}
	bubble(t, perdure.Config{MaxParked: -1, Budget: perdure.BudgetConfig{Floor: -1}}, func(t managed) {
		err := t.m.Do(t.Context(), op, func(context.Context) error { return perdure.Transient(errOwn) })
		if !errors.Is(err, perdure.ErrBudgetSpent) {
			t.Errorf("Do() = %v, want budget spent: nobody may park", err)
		}
	})
}

func TestRetryAtMovesOnWhileTheProbeFails(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		var s server
		s.down.Store(true)
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		t.m.Breaker("database").Trip("test")
		for range 20 {
			sleep(t.Context(), 700*time.Millisecond)
			err := t.m.Do(t.Context(), once, succeed)
			e, ok := errors.AsType[*perdure.Error](err)
			if !ok || !e.RetryAt.After(time.Now()) || time.Until(e.RetryAt) > time.Second {
				t.Fatalf("Do() = %v, RetryAt in %s; want the time of the next probe, within a second", err, time.Until(e.RetryAt))
			}
			if next := t.m.Snapshot().Database.NextProbe; !next.Equal(e.RetryAt) {
				t.Errorf("Snapshot has the next probe at %s, the error at %s", next, e.RetryAt)
			}
		}
		p := t.m.Snapshot().Probe
		if !p.Attached || !p.Failed || p.Error == "" || time.Since(p.At) > time.Second {
			t.Errorf("Snapshot().Probe = %+v, want a failure less than a second ago", p)
		}
		if p.Misses < 20 { // in 14 s, one each half second at most
			t.Errorf("Snapshot().Probe.Misses = %d, want at least 20", p.Misses)
		}
		s.down.Store(false)
		sleep(t.Context(), time.Second)
		if p = t.m.Snapshot().Probe; p.Failed || p.Misses != 0 {
			t.Errorf("Snapshot().Probe = %+v, want no misses after a good answer", p)
		}
	})
}

// TestADatabaseThatAnswersOnlyProbesIsLeftAlone: good probes and failing calls
// do not make the breaker swing as fast as calls can fail.
func TestADatabaseThatAnswersOnlyProbesIsLeftAlone(t *testing.T) {
	var changes atomic.Int64
	cfg := perdure.Config{Hooks: perdure.Hooks{BreakerChange: func(e perdure.BreakerEvent) {
		if e.Opened() {
			changes.Add(1)
		}
	}}}
	bubble(t, cfg, func(t managed) {
		if _, err := t.m.SetProbe(func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		t.m.Breaker("database").Trip("test")
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			_ = t.m.Do(t.Context(), once, func(context.Context) error { return syscall.ECONNRESET })
			sleep(t.Context(), 10*time.Millisecond)
		}
		if n := changes.Load(); n > 10 {
			t.Errorf("the breaker opened %d times in a minute, want at most 10", n)
		}
	})
}

func TestARecursiveOperationPassesItsOwnHalfOpenBreaker(t *testing.T) {
	op := perdure.Op{Name: "walk", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle, MaxAttempts: 1}}
	bubble(t, perdure.Config{}, func(t managed) {
		_ = t.m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second)
		err := t.m.Do(t.Context(), op, func(ctx context.Context) error { return t.m.Do(ctx, op, succeed) })
		if err != nil || t.m.Breaker(op.Name).State() != breaker.Closed {
			t.Errorf("Do() = %v, breaker %s; want nil and closed", err, t.m.Breaker(op.Name).State())
		}
	})
}

func TestEvidenceIsToldWhenAProbeConfirmsIt(t *testing.T) {
	for _, probed := range []bool{false, true} {
		var told atomic.Pointer[breaker.Change]
		cfg := perdure.Config{Hooks: perdure.Hooks{BreakerChange: func(e perdure.BreakerEvent) { told.Store(&e.Change) }}}
		bubble(t, cfg, func(t managed) {
			var s server
			s.down.Store(true)
			if probed {
				if _, err := t.m.SetProbe(s.probe); err != nil {
					t.Fatal(err)
				}
			}
			for range 50 {
				_ = t.m.Do(t.Context(), once, func(context.Context) error { return syscall.ECONNREFUSED })
			}
			synctest.Wait()
			sleep(t.Context(), 500*time.Millisecond)
			last := told.Load()
			if last == nil || last.To != breaker.Open || last.Reason != breaker.ReasonThreshold || last.Evidence.Score < last.Evidence.Threshold {
				t.Errorf("probed %t: the last change is %+v, want open with its evidence", probed, last)
			}
		})
	}
}

func TestAProbeCanBeTakenAwayAndReplaced(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		var s server
		s.down.Store(true)
		remove, err := t.m.SetProbe(s.probe)
		if err != nil {
			t.Fatal(err)
		}
		remove()
		remove()
		if t.m.Suspect("nobody is asked"); t.m.Snapshot().Probe.Attached {
			t.Error("the probe is still attached")
		}
		t.m.Breaker("database").Trip("test")
		sleep(t.Context(), 2*time.Second)
		if err := t.m.Do(t.Context(), once, succeed); err != nil {
			t.Errorf("Do() = %v, want nil: without a probe time half-opens the breaker", err)
		}
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Errorf("SetProbe() after remove = %v", err)
		}
	})
}

func TestNamesBeyondTheLimitKeepTheirPolicies(t *testing.T) {
	cfg := perdure.Config{
		MaxOperations: 1,
		Policies:      map[string]perdure.Policy{"batch.*": {MaxAttempts: 5, Backoff: noDelay}},
		Policy:        perdure.Policy{MaxAttempts: 1},
		Budget:        perdure.BudgetConfig{Off: true},
	}
	bubble(t, cfg, func(t managed) {
		_ = t.m.Do(t.Context(), once, succeed)
		for _, own := range []*perdure.Policy{nil, {Park: time.Second}} {
			attempts := 0
			_ = t.m.Do(t.Context(), perdure.Op{Name: "batch.load", Idempotent: true, Policy: own}, func(context.Context) error {
				attempts++
				return perdure.Transient(errOwn)
			})
			if attempts != 5 {
				t.Errorf("%d attempts, want the 5 of batch.*", attempts)
			}
		}
	})
}

func TestPoliciesAreValidatedAsTheyAreUsed(t *testing.T) {
	quick := perdure.Policy{Backoff: backoff.Config{Initial: time.Millisecond}}
	capped := perdure.Policy{Backoff: backoff.Config{Max: 10 * time.Millisecond}} // alone it is below the default Initial
	m, err := perdure.New(perdure.Config{Policy: quick, Policies: map[string]perdure.Policy{"a": capped}})
	if err != nil {
		t.Fatalf("New() = %v, want nil: the two policies make a valid one", err)
	}
	if err := m.Do(t.Context(), perdure.Op{Name: "b", Policy: &capped}, succeed); err != nil {
		t.Errorf("Do() = %v, want nil", err)
	}
	_, err = perdure.New(perdure.Config{Policies: map[string]perdure.Policy{"a": capped}})
	if err == nil || !strings.Contains(err.Error(), `policies["a"].backoff.max`) {
		t.Errorf("New() = %v, want the path of the fault", err)
	}
}

func TestAHugeRetryAfterEndsTheCall(t *testing.T) {
	op := perdure.Op{Name: "p", Idempotent: true, Policy: &perdure.Policy{MaxElapsed: time.Minute}}
	bubble(t, perdure.Config{}, func(t managed) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		huge := func(context.Context) error { return perdure.RetryAfter(errOwn, 1<<63-1) }
		for _, want := range []struct {
			op     perdure.Op
			reason perdure.Reason
		}{{op, perdure.ReasonElapsed}, {perdure.Op{Name: "q", Idempotent: true}, perdure.ReasonDeadline}} {
			err := t.m.Do(ctx, want.op, huge)
			if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != want.reason {
				t.Errorf("Do() = %v, want %s", err, want.reason)
			}
		}
	})
}

func TestCloseWaitsForOutcomesBeforeItEndsTheProber(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		var s server
		s.down.Store(true)
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		t.m.Breaker("database").Trip("test")
		end, err := t.m.BeginOutcome()
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() { closed <- t.m.Close(t.Context()) }()
		synctest.Wait()
		s.down.Store(false)
		<-t.m.DatabaseUp() // the prober still looks
		end()
		if err := <-closed; err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}

func TestRestoreKeepsTheBreakersThatMatter(t *testing.T) {
	ops := []perdure.Op{{Name: "a"}, {Name: "b"}, {Name: "z"}}
	before := newManager(t, perdure.Config{})
	for _, op := range ops {
		_ = before.Do(t.Context(), op, succeed)
	}
	before.Breaker("z").HoldOpen("maintenance")
	var state strings.Builder
	if err := before.Save(&state); err != nil {
		t.Fatal(err)
	}
	after := newManager(t, perdure.Config{MaxOperations: 1})
	if err := after.Restore(strings.NewReader(state.String())); err != nil {
		t.Fatal(err)
	}
	if ops := after.Snapshot().Operations; len(ops) != 1 || ops[0].Name != "z" || ops[0].Breaker.Held != breaker.HeldOpen {
		t.Errorf("Snapshot has %+v, want the hold of z, which nobody has called yet", ops)
	}
	if b := after.Breaker("z"); b == nil || b.Held() != breaker.HeldOpen {
		t.Error("Breaker(z) is not the one that is held")
	}
	if err := after.Do(t.Context(), ops[2], succeed); !errors.Is(err, perdure.ErrBreakerOpen) {
		t.Errorf("Do(z) = %v, want breaker open: it was held", err)
	}
	if err := after.Restore(io.LimitReader(strings.NewReader(state.String()), 10)); err == nil {
		t.Error("Restore() of a torn file succeeded")
	}
}

func TestTheTextOfAnErrorHoldsNoDataOfAnother(t *testing.T) {
	secret := leaky{}
	for name, err := range map[string]error{
		"classified by the caller": secret,
		"wrapped":                  fmt.Errorf("loading: %w", secret),
		"joined":                   errors.Join(sqlError("40001"), secret),
	} {
		m := newManager(t, perdure.Config{Classify: func(error) (pgerr.Verdict, bool) {
			return pgerr.Verdict{Category: pgerr.CategoryTransient, Retry: pgerr.RetryStatement}, true
		}})
		got := m.Do(t.Context(), perdure.Op{Name: "x"}, func(context.Context) error { return err })
		if _, ok := errors.AsType[*perdure.Error](got); !ok || strings.Contains(got.Error(), "4711") || !errors.Is(got, secret) {
			t.Errorf("%s: %q, want the condition in place of the message", name, got)
		}
	}
}

// leaky is an error whose message holds data.
type leaky struct{}

func (leaky) Error() string    { return `invalid input syntax for type integer: "4711"` }
func (leaky) SQLState() string { return "22P02" }

func TestDeclaredOperationsAreKnownBeforeTheirFirstCall(t *testing.T) {
	m := newManager(t, perdure.Config{})
	bad := perdure.Policy{RetryOn: []pgerr.Category{200}}
	err := m.Declare(perdure.Op{Name: "b"}, perdure.Op{Name: "a b"}, perdure.Op{Name: "a"}, perdure.Op{Name: "c", Policy: &bad})
	if err == nil || !strings.Contains(err.Error(), `"a b"`) || !strings.Contains(err.Error(), "operation c: policy: retry_on[0]") {
		t.Errorf("Declare() = %v, want both faults", err)
	}
	var names []string
	for _, o := range m.Snapshot().Operations {
		names = append(names, o.Name)
	}
	if want := []string{"a", "b"}; !cmp.Equal(names, want) {
		t.Errorf("known are %v, want %v", names, want)
	}
}

// TestAServerThatIsFarAwayIsNotTakenForDead: a probe that takes a second opens
// the breaker once, by mistake; from then on it is known to take that long.
func TestAServerThatIsFarAwayIsNotTakenForDead(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		if _, err := t.m.SetProbe(func(ctx context.Context) error {
			sleep(ctx, time.Second)
			return ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		t.m.Suspect("a silent connection")
		sleep(t.Context(), 20*time.Second)
		if s := t.m.Breaker("database").State(); s != breaker.Closed {
			t.Fatalf("the breaker is %s, want closed: the probes were good, if slow", s)
		}
		opened := t.m.Snapshot().Database.Transitions
		for range 10 {
			t.m.Suspect("another one")
			sleep(t.Context(), 10*time.Second)
		}
		if again := t.m.Snapshot().Database.Transitions; !cmp.Equal(opened, again) {
			t.Errorf("transitions went from %v to %v, want no more", opened, again)
		}
	})
}

func TestWhatAnOperationUsuallyTakes(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		if d, ok := t.m.Usual("unheard.of", 0.99); d != 0 || ok {
			t.Errorf("Usual of an unknown operation = %v, %t, want nothing", d, ok)
		}
		for i := range 20 {
			if d, ok := t.m.Usual(readOnly.Name, 0.99); ok {
				t.Errorf("Usual after %d calls = %v, true, want false before 20", i, d)
			}
			if err := t.m.Do(t.Context(), readOnly, func(ctx context.Context) error { sleep(ctx, 10*time.Millisecond); return nil }); err != nil {
				t.Error(err)
			}
		}
		if d, ok := t.m.Usual(readOnly.Name, 0.99); !ok || d < 10*time.Millisecond || d > 13*time.Millisecond {
			t.Errorf("Usual after 20 calls of 10ms = %v, %t, want within a quarter above", d, ok)
		}
	})
}

func TestARefusalUnderASharedBreakerHasItsOwnName(t *testing.T) {
	var told []string
	m := newManager(t, perdure.Config{MaxOperations: 1, Hooks: perdure.Hooks{CallEnd: func(_ context.Context, e perdure.CallEvent) {
		told = append(told, e.Op+": "+e.Err.Error())
	}}})
	if err := m.Declare(perdure.Op{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	m.Breaker("database").HoldOpen("test")
	var want []string
	for _, name := range []string{"first", "second", "third"} {
		want = append(want, name+": "+name+": circuit breaker open")
		err := m.Do(t.Context(), perdure.Op{Name: name}, succeed)
		if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Op != name {
			t.Errorf("the refusal of %s is %v", name, err)
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestDeclareLooksAtThePolicyOfAnOperationThatIsKnown(t *testing.T) {
	m := newManager(t, perdure.Config{})
	op := perdure.Op{Name: "known"}
	if err := m.Declare(op); err != nil {
		t.Fatal(err)
	}
	op.Policy = &perdure.Policy{Breaker: breaker.Config{Rule: "sometimes"}}
	if err := m.Declare(op, perdure.Op{Name: "fine"}); err == nil || !strings.Contains(err.Error(), "known") || !strings.Contains(err.Error(), "breaker.rule") {
		t.Errorf("Declare() = %v, want it to name the operation and the fault", err)
	}
}

func TestAProbeThatIsNoneIsRefused(t *testing.T) {
	m := newManager(t, perdure.Config{})
	if _, err := m.SetProbe(nil); err == nil {
		t.Error("SetProbe(nil) was taken")
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	m := newManager(t, perdure.Config{})
	for _, e := range []perdure.OutcomeEvent{
		{Op: "x", Method: "token", Resolution: perdure.Undecided},
		{Op: "x", Method: "marker", Resolution: perdure.Committed},
		{Op: "y", Method: "marker", Resolution: perdure.Committed},
		{Op: "x", Method: "marker", Resolution: perdure.Aborted},
	} {
		m.CommitOutcome(t.Context(), e)
	}
	want := []perdure.OutcomeCount{
		{Resolution: perdure.Aborted, Method: "marker", Count: 1},
		{Resolution: perdure.Committed, Method: "marker", Count: 2},
		{Resolution: perdure.Undecided, Method: "token", Count: 1},
	}
	if diff := cmp.Diff(want, m.Snapshot().Outcomes); diff != "" {
		t.Error(diff)
	}
}

func TestAManagerDescribesItself(t *testing.T) {
	m := newManager(t, perdure.Config{Name: "orders"})
	if got, want := m.String(), "perdure manager orders: database closed"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	m.Breaker("database").Trip("test")
	if got, want := m.String(), "perdure manager orders: database open"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

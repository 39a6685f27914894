package perdure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// The tests of this file are named after faults that were found in peers; each
// shows that the Manager does not have it.

var (
	idempotent = perdure.Op{Name: "test.idempotent", Idempotent: true}
	readOnly   = perdure.Op{Name: "test.read", ReadOnly: true}
	once       = perdure.Op{Name: "test.once"}
	errOwn     = errors.New("own")
)

// sqlError is an error as a driver's: it has a SQLSTATE.
type sqlError string

func (e sqlError) Error() string    { return "server says " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

// managed is a test with a Manager.
type managed struct {
	*testing.T

	m *perdure.Manager
}

// bubble runs f on fake time with a Manager that is closed at the end.
func bubble(t *testing.T, cfg perdure.Config, f func(t managed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, cfg)
		f(managed{t, m})
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// openByConsecutive makes breakers that one failure opens and one success closes.
var brittle = breaker.Config{Rule: breaker.Consecutive, ConsecutiveFailures: 1, SuccessThreshold: 1, RampFor: -1}

// lost fails as a statement does whose server is too slow: evidence for the operation.
func lost(context.Context) error { return sqlError("57014") }

func TestPeerFaultP1_PanicInHalfOpenReturnsThePermit(t *testing.T) {
	op := perdure.Op{Name: "test.panics", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle, MaxAttempts: 1}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		_ = m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second)
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recover() = %v, want boom", r)
				}
			}()
			_ = m.Do(t.Context(), op, func(context.Context) error { panic("boom") })
		}()
		if s := m.Breaker(op.Name).State(); s != breaker.Open {
			t.Errorf("after a panicking probe the breaker is %s, want open", s)
		}
		sleep(t.Context(), 2*time.Second)
		if err := m.Do(t.Context(), op, succeed); err != nil {
			t.Errorf("the next probe: %v", err)
		}
		if s := m.Breaker(op.Name).State(); s != breaker.Closed {
			t.Errorf("breaker is %s, want closed", s)
		}
		if n := m.Snapshot().Operations[0].Failed[perdure.ReasonPanicked]; n != 1 {
			t.Errorf("panics counted: %d, want 1", n)
		}
	})
}

func TestPeerFaultP2_PanicReleasesWhatTheCallHeld(t *testing.T) {
	// The ramp after half-open limits calls in flight: a panic must not keep its place.
	bubble(t, perdure.Config{Database: breaker.Config{SuccessThreshold: 1, RampFor: time.Hour}}, func(t managed) {
		m := t.m
		db := m.Breaker("database")
		db.Trip("test")
		sleep(t.Context(), 2*time.Second)
		for range 100 {
			func() {
				defer func() { _ = recover() }()
				_ = m.Do(t.Context(), once, func(context.Context) error { panic("boom") })
			}()
		}
		if err := m.Do(t.Context(), readOnly, succeed); err != nil {
			t.Errorf("after 100 panics: %v", err)
		}
	})
}

func TestPeerFaultP3_AnOpenBreakerIsNotRetried(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		m.Breaker("database").HoldOpen("maintenance")
		start := time.Now()
		err := m.Do(t.Context(), idempotent, succeed)
		if !errors.Is(err, perdure.ErrBreakerOpen) || time.Since(start) != 0 {
			t.Errorf("Do() = %v after %s, want breaker open at once", err, time.Since(start))
		}
		e, ok := errors.AsType[*perdure.Error](err)
		if !ok || e.Attempts != 0 || e.Reason != perdure.ReasonBreakerOpen {
			t.Errorf("Do() = %#v, want reason breaker_open with no attempt", err)
		}
	})
}

func TestPeerFaultP4_CallersThatCancelAreNoEvidence(t *testing.T) {
	op := perdure.Op{Name: "test.cancelled", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle}}
	bubble(t, perdure.Config{Database: brittle}, func(t managed) {
		m := t.m
		for i := range 200 {
			ctx, cancel := context.WithCancel(t.Context())
			err := m.Do(ctx, op, func(ctx context.Context) error {
				cancel()
				if i%2 == 0 {
					return ctx.Err()
				}
				return io.ErrUnexpectedEOF // what a driver makes of its own hanging up
			})
			if err == nil {
				t.Fatal("Do() = nil")
			}
		}
		for _, name := range []string{"database", op.Name} {
			if b := m.Breaker(name); b.State() != breaker.Closed || b.Failures() != 0 || b.Successes() != 0 {
				t.Errorf("%s: %s with %d failures and %d successes, want closed with none",
					name, b.State(), b.Failures(), b.Successes())
			}
		}
	})
}

func TestPeerFaultP5_ResultsOfAnOlderGenerationAreDropped(t *testing.T) {
	op := perdure.Op{Name: "test.old", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle, MaxAttempts: 1}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		finish := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // admitted while closed, ends when half-open
			_ = m.Do(t.Context(), op, func(context.Context) error { <-finish; return nil })
		})
		synctest.Wait()
		_ = m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second)
		probe := make(chan struct{})
		wg.Go(func() {
			_ = m.Do(t.Context(), op, func(context.Context) error { <-probe; return sqlError("57014") })
		})
		synctest.Wait()
		if s := m.Breaker(op.Name).State(); s != breaker.HalfOpen {
			t.Fatalf("breaker is %s, want half_open", s)
		}
		close(finish)
		synctest.Wait()
		if s := m.Breaker(op.Name).State(); s != breaker.HalfOpen {
			t.Errorf("an old success made the breaker %s, want half_open", s)
		}
		close(probe)
		wg.Wait()
	})
}

func TestPeerFaultP6_HooksMayAskTheManager(t *testing.T) {
	var m *perdure.Manager
	var order []string
	hooks := perdure.Hooks{BreakerChange: func(e perdure.BreakerEvent) {
		s := m.Snapshot()
		order = append(order, fmt.Sprintf("%s>%s (%d operations)", e.Change.From, e.Change.To, len(s.Operations)))
	}}
	op := perdure.Op{Name: "test.hooks", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle, MaxAttempts: 1}}
	bubble(t, perdure.Config{Hooks: hooks}, func(t managed) {
		manager := t.m
		m = manager
		_ = m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second)
		_ = m.Do(t.Context(), op, succeed)
	})
	want := []string{"closed>open (1 operations)", "open>half_open (1 operations)", "half_open>closed (1 operations)"}
	if fmt.Sprint(order) != fmt.Sprint(want) {
		t.Errorf("changes told: %q, want %q", order, want)
	}
}

func TestPeerFaultP7_APolicyIsNotUsedUp(t *testing.T) {
	op := perdure.Op{Name: "test.policy", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 3, Contention: noDelay}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		for call := range 5 {
			attempts := 0
			_ = m.Do(t.Context(), op, func(context.Context) error { attempts++; return sqlError("40001") })
			if attempts != 3 {
				t.Errorf("call %d made %d attempts, want 3", call, attempts)
			}
		}
	})
}

func TestPeerFaultP8_HalfOpenAdmitsOneThenRamps(t *testing.T) {
	op := perdure.Op{Name: "test.crowd", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 1, Breaker: breaker.Config{
		Rule: breaker.Consecutive, ConsecutiveFailures: 1, SuccessThreshold: 3,
	}}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		_ = m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second)
		var wg sync.WaitGroup
		var mu sync.Mutex
		admitted := 0
		finish := make(chan struct{})
		for range 1000 {
			wg.Go(func() {
				_ = m.Do(t.Context(), op, func(context.Context) error {
					mu.Lock()
					admitted++
					mu.Unlock()
					<-finish
					return nil
				})
			})
		}
		synctest.Wait()
		if admitted != 1 {
			t.Errorf("half-open admitted %d of 1,000, want 1", admitted)
		}
		close(finish)
		wg.Wait()
	})
}

func TestPeerFaultP9_TheLastErrorIsKept(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the user went away")
		err := m.Do(ctx, idempotent, func(context.Context) error {
			time.AfterFunc(time.Nanosecond, func() { cancel(why) })
			return perdure.RetryAfter(errOwn, time.Second)
		})
		if !errors.Is(err, errOwn) || !errors.Is(err, why) {
			t.Errorf("Do() = %v, want both the last error and the cause", err)
		}
		if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonCanceled {
			t.Errorf("Do() = %#v, want reason canceled", err)
		}
	})
}

func TestPeerFaultP10_NoSleepIntoADeadline(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		for range 30 { // the operation usually takes 800ms
			_ = m.Do(t.Context(), idempotent, func(ctx context.Context) error { sleep(ctx, 800*time.Millisecond); return nil })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := m.Do(ctx, idempotent, func(context.Context) error { return perdure.RetryAfter(errOwn, 300*time.Millisecond) })
		if time.Since(start) != 0 {
			t.Errorf("Do() took %s, want no wait: 300ms and the usual 800ms do not fit into 1s", time.Since(start))
		}
		e, ok := errors.AsType[*perdure.Error](err)
		if !ok || e.Reason != perdure.ReasonDeadline || !errors.Is(err, errOwn) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do() = %v, want reason deadline with the last error", err)
		}
	})
}

func TestPeerFaultP11_HalfOpenCannotStick(t *testing.T) {
	op := perdure.Op{Name: "test.stuck", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 1, Breaker: brittle}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		_ = m.Do(t.Context(), op, lost)
		sleep(t.Context(), time.Second)
		var wg sync.WaitGroup
		hang := make(chan struct{})
		wg.Go(func() { _ = m.Do(t.Context(), op, func(context.Context) error { <-hang; return nil }) })
		synctest.Wait()
		if err := m.Do(t.Context(), op, succeed); !errors.Is(err, perdure.ErrBreakerOpen) {
			t.Errorf("beside a probe: %v, want breaker open", err)
		}
		sleep(t.Context(), breaker.DefaultProbeLease)
		if err := m.Do(t.Context(), op, succeed); err != nil {
			t.Errorf("after the lease of a silent probe: %v", err)
		}
		close(hang)
		wg.Wait()
	})
}

func TestPeerFaultP12_AllOfItRunsOnFakeTime(t *testing.T) {
	begun := time.Now()
	bubble(t, perdure.Config{Policy: perdure.Policy{Park: 24 * time.Hour, Breaker: breaker.Config{Rule: breaker.Off}}}, func(t managed) {
		m := t.m
		var down atomic.Bool
		down.Store(true)
		var probes atomic.Int64
		answer := func(context.Context) error {
			if down.Load() {
				return syscall.ECONNREFUSED
			}
			return nil
		}
		_, err := m.SetProbe(func(ctx context.Context) error {
			probes.Add(1)
			return answer(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(8*time.Hour, func() { down.Store(false) })
		start := time.Now()
		err = m.Do(t.Context(), idempotent, answer)
		if err != nil || time.Since(start) < 8*time.Hour || time.Since(start) > 8*time.Hour+time.Second {
			t.Errorf("Do() = %v after %s, want success within a second of 8h", err, time.Since(start))
		}
		t.Logf("%d probes in %s", probes.Load(), time.Since(start))
	})
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("eight hours took %s", took)
	}
}

// connLockError is what pgx returns for a COMMIT whose reply was lost: it says of
// itself that it is safe to retry, and the commit did happen.
type connLockError struct{}

func (connLockError) Error() string     { return "conn closed" }
func (connLockError) SafeToRetry() bool { return true }

func TestPeerFaultP14_SafeToRetryIsNoEvidence(t *testing.T) {
	if v := pgerr.Classify(connLockError{}); v.Retry != pgerr.RetryNever || v.Effect == pgerr.EffectNone && v.Category != pgerr.CategoryUnknown {
		t.Errorf("Classify() = %+v, want no verdict", v)
	}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		for _, op := range []perdure.Op{once, idempotent} {
			attempts := 0
			err := m.Do(t.Context(), op, func(context.Context) error { attempts++; return connLockError{} })
			if attempts != 1 || err != (connLockError{}) { //nolint:errorlint // it must come back untouched
				t.Errorf("%s: %d attempts and %v, want one and the error untouched", op.Name, attempts, err)
			}
		}
	})
}

func TestPeerFaultP17_NoStormsAndNoBlindRepeats(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		// An error after which nobody knows what happened is not repeated, whatever else could be.
		attempts := 0
		err := m.Do(t.Context(), once, func(context.Context) error { attempts++; return io.ErrUnexpectedEOF })
		e, ok := errors.AsType[*perdure.Error](err)
		if attempts != 1 || !ok || e.Reason != perdure.ReasonNotIdempotent || e.Hint == "" {
			t.Errorf("%d attempts and %v, want one, not idempotent, with a hint", attempts, err)
		}
		// Contention is repeated ten times at most, with a growing delay between.
		attempts = 0
		start := time.Now()
		err = m.Do(t.Context(), idempotent, func(context.Context) error { attempts++; return sqlError("40001") })
		if attempts != 10 || time.Since(start) == 0 {
			t.Errorf("%d attempts in %s and %v, want 10 with delays", attempts, time.Since(start), err)
		}
	})
}

func TestPeerFaultP18_NamesAreBoundedAndNoBreakerIsForgotten(t *testing.T) {
	bubble(t, perdure.Config{MaxOperations: 10, Policy: perdure.Policy{Breaker: brittle, MaxAttempts: 1}}, func(t managed) {
		m := t.m
		_ = m.Do(t.Context(), perdure.Op{Name: "test.first"}, lost)
		for i := range 10_000 {
			if err := m.Do(t.Context(), perdure.Op{Name: fmt.Sprintf("user-%d", i)}, succeed); err != nil {
				t.Fatal(err)
			}
		}
		s := m.Snapshot()
		if len(s.Operations) != 11 || s.Overflowed != 10_000-9 {
			t.Errorf("%d operations and %d overflowed, want 11 and %d", len(s.Operations), s.Overflowed, 10_000-9)
		}
		if st := m.Breaker("test.first").State(); st != breaker.Open {
			t.Errorf("the open breaker is %s, want open", st)
		}
	})
}

func TestPeerFaultP19_AKnownOperationIsCountedFromTheStart(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		if err := m.Do(t.Context(), readOnly, succeed); err != nil {
			t.Fatal(err)
		}
		s := m.Snapshot().Operations
		if len(s) != 1 || s[0].Breaker == nil || s[0].Breaker.State != breaker.Closed || s[0].SuccessRate != 1 {
			t.Errorf("operations = %+v, want one, closed, with success rate 1", s)
		}
	})
}

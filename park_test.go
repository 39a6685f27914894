package perdure_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

func TestAParkedCallThatIsCancelledLeaves(t *testing.T) {
	op := perdure.Op{Name: "park.cancelled", Policy: &perdure.Policy{Park: time.Hour}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		m.Breaker("database").HoldOpen("test")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errOwn) })
		err := m.Do(ctx, op, succeed)
		if !errors.Is(err, errOwn) {
			t.Errorf("Do() = %v, want the cause", err)
		}
		if s := m.Snapshot(); s.Parked != 0 || s.Operations[0].Waited != time.Minute {
			t.Errorf("%d parked, waited %s, want none and 1m", s.Parked, s.Operations[0].Waited)
		}
	})
}

func TestParkingIsBounded(t *testing.T) {
	op := perdure.Op{Name: "park.bounded", Policy: &perdure.Policy{Park: time.Minute}}
	bubble(t, perdure.Config{MaxParked: 2}, func(t managed) {
		m := t.m
		m.Breaker("database").HoldOpen("test")
		var wg sync.WaitGroup
		errs := make(chan error, 5)
		for range 5 {
			wg.Go(func() { errs <- m.Do(t.Context(), op, succeed) })
		}
		synctest.Wait()
		if n := len(errs); n != 3 {
			t.Errorf("%d calls returned at once, want 3: two may park", n)
		}
		begun := time.Now()
		wg.Wait()
		if d := time.Since(begun); d != time.Minute {
			t.Errorf("the parked gave up after %s, want 1m", d)
		}
		close(errs)
		for err := range errs {
			if !errors.Is(err, perdure.ErrBreakerOpen) {
				t.Errorf("Do() = %v, want breaker open", err)
			}
		}
	})
}

func TestEveryRejectedCallIsCountedOnceAmongTheFailed(t *testing.T) {
	bubble(t, perdure.Config{MaxParked: 1}, func(t managed) {
		m := t.m
		m.Breaker("database").HoldOpen("test")
		parks := perdure.Op{Name: "park.rejected", Policy: &perdure.Policy{Park: time.Minute}}
		var wg sync.WaitGroup
		for range 3 { // one waits in vain, two find the line full
			wg.Go(func() { _ = m.Do(t.Context(), parks, succeed) })
		}
		_ = m.Do(t.Context(), perdure.Op{Name: parks.Name}, succeed) // refused at once
		wg.Wait()
		s := m.Snapshot().Operations[0]
		if got := s.Failed[perdure.ReasonBreakerOpen]; got != 4 || s.Rejected != 4 {
			t.Errorf("%d failed by the breaker, %d rejected, want 4 of 4", got, s.Rejected)
		}
	})
}

// TestAShortOutageCostsAParkingCallNoAttempt: with one attempt allowed, a call
// that parks survives a server that is away when it begins.
func TestAShortOutageCostsAParkingCallNoAttempt(t *testing.T) {
	op := perdure.Op{Name: "park.attempt", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 1, Park: time.Hour}}
	bubble(t, perdure.Config{Budget: perdure.BudgetConfig{Floor: -1}}, func(t managed) {
		m := t.m
		var s server
		if _, err := m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		s.down.Store(true)
		time.AfterFunc(10*time.Minute, func() { s.down.Store(false) })
		if err := m.Do(t.Context(), op, s.work); err != nil {
			t.Errorf("Do() = %v", err)
		}
	})
}

// An outage costs no attempt, and MaxElapsed ends the call all the same.
func TestMaxElapsedEndsACallThatAnOutageHolds(t *testing.T) {
	op := perdure.Op{Name: "park.elapsed", Idempotent: true, Policy: &perdure.Policy{MaxElapsed: time.Second, Park: time.Hour}}
	bubble(t, perdure.Config{}, func(t managed) {
		var s server
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		attempts := 0
		err := t.m.Do(t.Context(), op, func(ctx context.Context) error {
			attempts++
			sleep(ctx, 2*time.Second)
			s.down.Store(true)
			return io.ErrUnexpectedEOF
		})
		if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonElapsed || attempts != 1 {
			t.Errorf("Do() = %v after %d attempts, want reason elapsed after one", err, attempts)
		}
		s.down.Store(false)
	})
}

func TestAParkingCallWaitsForTheBudget(t *testing.T) {
	op := perdure.Op{Name: "park.budget", Idempotent: true, Policy: &perdure.Policy{
		MaxAttempts: -1, Park: time.Hour, Backoff: noDelay, Breaker: breaker.Config{Rule: breaker.Off},
	}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		attempts := 0
		begun := time.Now()
		err := m.Do(t.Context(), op, func(context.Context) error {
			if attempts++; attempts > 100 {
				return nil
			}
			return perdure.Transient(errOwn)
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d < 15*time.Second {
			t.Errorf("100 repeats took %s: more than the floor of five a second", d)
		}
	})
}

// TestAParkingCallWaitsForRoom: a full server opens no breaker that a call could
// wait for, and nothing was done.
func TestAParkingCallWaitsForRoom(t *testing.T) {
	full := sqlError("53300")
	for _, tt := range []struct {
		name     string
		park     time.Duration
		err      error
		refusals int
		want     string // the Reason
		attempts int
	}{
		{"for as long as it takes", time.Hour, full, 50, "", 51},
		{"for as long as it may park", time.Minute, full, 1 << 20, "exhausted", -1},
		{"not at all without leave", 0, full, 1 << 20, "exhausted", 3},
		{"not when the server did something", time.Hour, sqlError("40001"), 1 << 20, "exhausted", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			op := perdure.Op{Name: "park.room", Idempotent: true, Policy: &perdure.Policy{
				MaxAttempts: 3, Park: tt.park, Breaker: breaker.Config{Rule: breaker.Off},
			}}
			bubble(t, perdure.Config{}, func(t managed) {
				begun, attempts := time.Now(), 0
				err := t.m.Do(t.Context(), op, func(context.Context) error {
					if attempts++; attempts > tt.refusals {
						return nil
					}
					return tt.err
				})
				reason := ""
				if e, ok := errors.AsType[*perdure.Error](err); ok {
					reason = e.Reason.String()
				}
				if reason != tt.want || tt.attempts > 0 && attempts != tt.attempts || tt.attempts < 0 && attempts <= 3 {
					t.Errorf("Do() = %v after %d attempts, want %v after %d", err, attempts, tt.want, tt.attempts)
				}
				s := t.m.Snapshot()
				if waited := s.Operations[0].Waited; waited > tt.park || (waited > 0) != (tt.park > 0 && errors.Is(tt.err, full)) || s.Parked != 0 {
					t.Errorf("parked for %s, %d still, want at most %s and none", waited, s.Parked, tt.park)
				}
				if limit := tt.park + 10*time.Second; tt.want != "" && time.Since(begun) > limit { // two delays before it parks
					t.Errorf("it gave up after %s, want at most %s", time.Since(begun), limit)
				}
			})
		})
	}
}

func TestWaitingForRoomEnds(t *testing.T) {
	full := func(context.Context) error { return sqlError("53300") }
	op := perdure.Op{Name: "park.room", Idempotent: true, Policy: &perdure.Policy{
		MaxAttempts: 1, Park: time.Hour, Breaker: breaker.Config{Rule: breaker.Off},
	}}
	t.Run("with the caller's context", func(t *testing.T) {
		bubble(t, perdure.Config{}, func(t managed) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, cancel)
			err := t.m.Do(ctx, op, full)
			if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonCanceled || !errors.Is(err, context.Canceled) || e.Elapsed != time.Minute {
				t.Errorf("Do() = %v, want canceled after a minute", err)
			}
		})
	})
	t.Run("before it begins, when too many wait", func(t *testing.T) {
		bubble(t, perdure.Config{MaxParked: 1}, func(t managed) {
			ctx, cancel := context.WithCancel(t.Context())
			first := make(chan error)
			go func() { first <- t.m.Do(ctx, op, full) }()
			synctest.Wait()
			if n := t.m.Snapshot().Parked; n != 1 {
				t.Errorf("%d calls are parked, want one", n)
			}
			err := t.m.Do(ctx, op, full)
			if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonExhausted || e.Attempts != 1 {
				t.Errorf("Do() = %v, want exhausted after one attempt", err)
			}
			cancel()
			if err := <-first; !errors.Is(err, context.Canceled) {
				t.Errorf("the parked call = %v, want canceled", err)
			}
		})
	})
}

func TestTheProberDecidesAboutTheDatabase(t *testing.T) {
	op := perdure.Op{Name: "probe.read", ReadOnly: true, Policy: &perdure.Policy{Breaker: breaker.Config{Rule: breaker.Off}, MaxAttempts: 1}}
	refused := func(context.Context) error { return syscall.ECONNREFUSED }
	t.Run("evidence is dismissed while the database answers", func(t *testing.T) {
		bubble(t, perdure.Config{}, func(t managed) {
			m := t.m
			var s server
			if _, err := m.SetProbe(s.probe); err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				_ = m.Do(t.Context(), op, refused)
				synctest.Wait()
			}
			if st := m.Breaker("database").State(); st != breaker.Closed {
				t.Errorf("breaker is %s, want closed: every probe succeeded", st)
			}
		})
	})
	t.Run("a probe that fails opens it, one that succeeds lets calls in", func(t *testing.T) {
		bubble(t, perdure.Config{}, func(t managed) {
			m := t.m
			var s server
			if _, err := m.SetProbe(s.probe); err != nil {
				t.Fatal(err)
			}
			s.down.Store(true)
			for range 10 {
				_ = m.Do(t.Context(), op, refused)
			}
			sleep(t.Context(), 200*time.Millisecond)
			if st := m.Breaker("database").State(); st != breaker.Open {
				t.Fatalf("breaker is %s, want open", st)
			}
			up := m.DatabaseUp()
			select {
			case <-up:
				t.Error("DatabaseUp() is closed while the breaker is open")
			default:
			}
			s.down.Store(false)
			begun := time.Now()
			<-up
			if d := time.Since(begun); d > time.Second {
				t.Errorf("good news took %s, want at most 1s", d)
			}
			sleep(t.Context(), 2*time.Second)
			if err := m.Do(t.Context(), op, succeed); err != nil {
				t.Error(err)
			}
			if st := m.Breaker("database").State(); st != breaker.Closed {
				t.Errorf("breaker is %s, want closed by the probes alone", st)
			}
		})
	})
	t.Run("a frozen server is noticed within 1.6s", func(t *testing.T) {
		bubble(t, perdure.Config{}, func(t managed) {
			m := t.m
			if _, err := m.SetProbe(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }); err != nil {
				t.Fatal(err)
			}
			m.Suspect("silent for 500ms")
			sleep(t.Context(), 1100*time.Millisecond)
			if st := m.Breaker("database").State(); st != breaker.Open {
				t.Errorf("breaker is %s 1.1s after the suspicion, want open", st)
			}
		})
	})
	t.Run("without a prober the evidence opens it, and time half-opens it", func(t *testing.T) {
		bubble(t, perdure.Config{}, func(t managed) {
			m := t.m
			for range 10 {
				_ = m.Do(t.Context(), op, refused)
			}
			if st := m.Breaker("database").State(); st != breaker.Open {
				t.Fatalf("breaker is %s, want open", st)
			}
			sleep(t.Context(), 1100*time.Millisecond)
			for range 3 {
				if err := m.Do(t.Context(), op, succeed); err != nil {
					t.Error(err)
				}
			}
			if st := m.Breaker("database").State(); st != breaker.Closed {
				t.Errorf("breaker is %s, want closed", st)
			}
		})
	})
	t.Run("a Manager has one prober", func(t *testing.T) {
		m := newManager(t, perdure.Config{})
		var s server
		if _, err := m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		if _, err := m.SetProbe(s.probe); err == nil || !strings.Contains(err.Error(), "one Manager guards one database") {
			t.Errorf("SetProbe() = %v", err)
		}
	})
}

func TestAHoldOutlastsTheProber(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		var s server
		if _, err := m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		db := m.Breaker("database")
		db.HoldOpen("maintenance")
		sleep(t.Context(), time.Hour)
		if db.State() != breaker.Open {
			t.Errorf("after an hour the held breaker is %s, want open", db.State())
		}
		db.Release()
		sleep(t.Context(), 3*time.Second)
		if db.State() != breaker.Closed {
			t.Errorf("3s after its release the breaker is %s, want closed", db.State())
		}
	})
}

package perdure_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

func TestANestedParkingCallDoesNotSpin(t *testing.T) {
	inner := perdure.Op{Name: "inner", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 2, Park: time.Hour}}
	bubble(t, perdure.Config{Database: breaker.Config{RampFor: time.Hour}}, func(t managed) {
		var s server
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		t.m.Breaker("database").Trip("test")
		sleep(t.Context(), 2*time.Second) // closed again by probes, and in its ramp
		attempts := 0
		err := t.m.Do(t.Context(), perdure.Op{Name: "outer"}, func(ctx context.Context) error {
			s.down.Store(true)
			return t.m.Do(ctx, inner, func(context.Context) error { attempts++; return syscall.ECONNREFUSED })
		})
		if err == nil || attempts > 2 {
			t.Errorf("%d attempts and %v, want an error after at most 2", attempts, err)
		}
	})
}

func TestAHoldStopsWorkInsideALongCall(t *testing.T) {
	bubble(t, perdure.Config{Database: breaker.Config{RampFor: time.Hour}}, func(t managed) {
		db := t.m.Breaker("database")
		db.Trip("test")
		sleep(t.Context(), 2*time.Second)
		err := t.m.Do(t.Context(), perdure.Op{Name: "outer"}, func(ctx context.Context) error {
			db.HoldOpen("maintenance")
			return t.m.Do(ctx, perdure.Op{Name: "inner"}, succeed)
		})
		if !errors.Is(err, perdure.ErrBreakerOpen) {
			t.Errorf("Do() = %v, want breaker open", err)
		}
	})
}

func TestWorkThatKillsTheServerIsNotRepeatedForEver(t *testing.T) {
	op := perdure.Op{Name: "poison", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 2, Park: time.Hour}}
	bubble(t, perdure.Config{}, func(t managed) {
		var s server
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		attempts := 0
		_ = t.m.Do(t.Context(), op, func(context.Context) error {
			attempts++
			s.down.Store(true)
			time.AfterFunc(time.Second, func() { s.down.Store(false) })
			return syscall.ECONNRESET
		})
		if attempts > 30 {
			t.Errorf("%d attempts, want at most a few dozen", attempts)
		}
	})
}

func TestATransactionIsRepeatedForTheCallsInsideIt(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		attempts := 0
		_ = t.m.Guarded(t.Context(), once, func(ctx context.Context, _ int) (perdure.Judgement, error) {
			attempts++
			err := t.m.Do(t.m.WithTransaction(ctx), perdure.Op{Name: "inside"}, func(context.Context) error { return sqlError("40001") })
			return perdure.Judgement{Repeat: perdure.RepeatSafe}, err
		})
		if attempts != 10 {
			t.Errorf("the transaction was begun %d times, want 10", attempts)
		}
	})
}

func TestAnInnerGuardIsFoundBesideOthers(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		attempts := 0
		_ = t.m.Do(t.Context(), perdure.Op{Name: "outer", Idempotent: true}, func(ctx context.Context) error {
			err := t.m.Do(ctx, idempotent, func(context.Context) error { attempts++; return sqlError("40001") })
			return errors.Join(sqlError("40001"), err)
		})
		if attempts != 10 {
			t.Errorf("the inner work was begun %d times, want 10", attempts)
		}
	})
}

func TestRetryAfterHoldsForGuardedWork(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		begun := time.Now()
		attempts := 0
		err := t.m.Guarded(t.Context(), once, func(context.Context, int) (perdure.Judgement, error) {
			if attempts++; attempts == 2 {
				return perdure.Judgement{}, nil
			}
			err := perdure.RetryAfter(errOwn, time.Minute)
			return perdure.Judgement{Verdict: t.m.Classify(err), Repeat: perdure.RepeatSafe}, err
		})
		if d := time.Since(begun); err != nil || d < time.Minute {
			t.Errorf("Guarded() = %v after %s, want nil after a minute", err, d)
		}
	})
}

func TestATimeLimitDoesNotHideThatTheDatabaseIsAway(t *testing.T) {
	op := perdure.Op{Name: "away", ReadOnly: true, Policy: &perdure.Policy{AttemptTimeout: time.Second, MaxAttempts: 1}}
	bubble(t, perdure.Config{}, func(t managed) {
		_ = t.m.Guarded(t.Context(), op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
			<-ctx.Done()
			return perdure.Judgement{Verdict: pgerr.ClassifyConnect(ctx.Err()), Repeat: perdure.RepeatSafe}, ctx.Err()
		})
		if db, own := t.m.Breaker("database").Failures(), t.m.Breaker(op.Name).Failures(); db != 1 || own != 0 {
			t.Errorf("%d failures of the database and %d of the operation, want 1 and 0", db, own)
		}
	})
}

func TestAPermanentErrorStaysUntouchedWhenTheContextEnds(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		ctx, cancel := context.WithCancel(t.Context())
		err := t.m.Do(ctx, once, func(context.Context) error { cancel(); return sqlError("23505") })
		if err != sqlError("23505") { //nolint:errorlint // untouched
			t.Errorf("Do() = %v, want the error untouched", err)
		}
	})
}

func TestAProbeThatIsAnsweredOpensNothing(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		if _, err := t.m.SetProbe(func(context.Context) error { return sqlError("53300") }); err != nil {
			t.Fatal(err)
		}
		t.m.Suspect("test")
		sleep(t.Context(), 10*time.Second)
		if s := t.m.Breaker("database").State(); s != breaker.Closed {
			t.Errorf("a full server made the breaker %s, want closed", s)
		}
	})
}

func TestALateProbeDecidesAboutARestoredBreaker(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		t.m.Breaker("database").Trip("restored")
		var s server
		s.down.Store(true)
		sleep(t.Context(), 5*time.Second) // half-open by time: no probe was there
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		sleep(t.Context(), 3*time.Second)
		if st := t.m.Breaker("database").State(); st != breaker.Open {
			t.Errorf("breaker is %s, want open: the probe fails", st)
		}
	})
}

func TestTroubleRightAfterAGoodProbeIsLookedInto(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		var s server
		if _, err := t.m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		t.m.Suspect("test")
		sleep(t.Context(), 10*time.Millisecond) // the probe was good
		s.down.Store(true)
		t.m.Suspect("test")
		sleep(t.Context(), time.Second)
		if st := t.m.Breaker("database").State(); st != breaker.Open {
			t.Errorf("breaker is %s a second after, want open", st)
		}
	})
}

func TestALostConnectionInATransactionIsOneFailure(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		_ = t.m.Guarded(t.Context(), once, func(ctx context.Context, _ int) (perdure.Judgement, error) {
			err := t.m.Do(t.m.WithTransaction(ctx), idempotent, func(context.Context) error { return syscall.ECONNRESET })
			return perdure.Judgement{Repeat: perdure.RepeatNever}, err
		})
		if n := t.m.Breaker("database").Failures(); n != 1 {
			t.Errorf("%d failures of the database, want 1", n)
		}
	})
}

package breaker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConfirmedBreakerAsksBeforeItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := newBreaker(t, Config{}, Options{OnSuspect: func(ev Evidence) {
			asked++
			if ev.Score < ev.Threshold || !ev.At.Equal(time.Now()) {
				t.Errorf("evidence = %+v, want a score over its threshold, now", ev)
			}
		}})
		failures := func(n int) {
			for range n {
				admit(t, b).Failure(0)
			}
		}
		failures(100)
		if wantState(t, b, Closed); asked != 1 {
			t.Fatalf("asked %d times in one suspicion, want once", asked)
		}
		forward(suspectAgain)
		if failures(1); asked != 2 {
			t.Fatalf("asked %d times, want again after %s without an answer", asked, suspectAgain)
		}
		b.Acquit()
		if failures(4); asked != 2 {
			t.Fatalf("asked %d times, want an acquittal to forget the evidence", asked)
		}
		if failures(1); asked != 3 {
			t.Fatalf("asked %d times, want a new suspicion after an acquittal", asked)
		}
		b.Trip("confirmed")
		wantState(t, b, Open)
		if _, at := b.Wait(); !at.IsZero() {
			t.Errorf("Wait() names %s, want no time at which a confirmed breaker admits", at)
		}
		if b.NextProbe().IsZero() {
			t.Error("NextProbe() is zero, want advice for the prober")
		}
		forward(time.Hour)
		refused(t, b, "only HalfOpen admits again")
		changed, _ := b.Wait()
		b.HalfOpen()
		<-changed
		b.ProbeSucceeded()
		b.ProbeSucceeded()
		b.ProbeSucceeded()
		wantState(t, b, Closed)
	})
}

func TestHoldsLastUntilReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		b.HoldOpen("maintenance")
		forward(time.Hour)
		refused(t, b, "held open")
		b.HalfOpen()
		b.Trip("x")
		refused(t, b, "held open, whatever the owner says")
		if _, at := b.Wait(); !at.IsZero() || !b.NextProbe().IsZero() {
			t.Errorf("a held breaker names a time at which it may admit: %s, %s", at, b.NextProbe())
		}
		if s := b.Snapshot(); b.Held() != HeldOpen || s.Held != HeldOpen || s.Reason != "maintenance" {
			t.Errorf("Held() = %s, snapshot %+v, want held open for maintenance", b.Held(), s)
		}
		changed, _ := b.Wait()
		b.Release()
		<-changed
		admit(t, b).Failure(0)
		wantState(t, b, Open)

		b.HoldClosed(strings.Repeat("long ", 100))
		if got := len(b.Snapshot().Reason); got > maxReason {
			t.Errorf("%d bytes of a reason are kept, want at most %d", got, maxReason)
		}
		for range 1000 {
			admit(t, b).Failure(0)
		}
		b.Trip("x")
		wantState(t, b, Closed)
		b.Release()
		b.Release()
		wantState(t, b, Closed)
		if n := fail(t, b); n != 5 {
			t.Errorf("released, it opened after %d failures, want the evidence forgotten and 5", n)
		}
	})
}

func TestWaitNamesTheNextChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		if _, at := b.Wait(); at.After(time.Now()) {
			t.Errorf("closed: Wait() names %s, want now", at)
		}
		changed, _ := b.Wait()
		b.Trip("test")
		<-changed
		changed, at := b.Wait()
		if !at.Equal(b.NextProbe()) {
			t.Errorf("open: Wait() names %s, want the next probe %s", at, b.NextProbe())
		}
		forward(time.Until(at))
		p := admit(t, b)
		<-changed
		if _, at := b.Wait(); time.Until(at) != DefaultProbeLease {
			t.Errorf("half-open and full: Wait() names %s from now, want the lease %s", time.Until(at), DefaultProbeLease)
		}
		changed, _ = b.Wait()
		p.Success(0)
		<-changed
		if _, at := b.Wait(); at.After(time.Now()) {
			t.Errorf("half-open with a free place: Wait() names %s, want now", at)
		}
	})
}

package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The faults of other circuit breakers that were reproduced, by their numbers.

// call is what a user of the breaker does: report in a deferred func, so that a panic is reported too.
func call(b *Breaker, fn func() error) (err error) {
	p, ok := b.Admit()
	if !ok {
		return errors.New("refused")
	}
	done := false
	defer func() {
		switch {
		case !done || err != nil:
			p.Failure(0)
		default:
			p.Success(0)
		}
	}()
	err = fn()
	done = true
	return err
}

// P1: a panic in the half-open probe never returned the permit; it refused for ever.
func TestPeerFaultP1_APanickingProbeGivesItsPermitBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		b.Trip("test")
		forward(time.Until(b.NextProbe()))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not go on up")
				}
			}()
			_ = call(b, func() error { panic("in the probe") })
		}()
		wantState(t, b, Open) // it counted as a failure
		forward(time.Until(b.NextProbe()))
		if err := call(b, func() error { return nil }); err != nil {
			t.Errorf("the probe after a panic: %v", err)
		}
	})
}

// P4: a caller that cancels its own context opened the breaker.
func TestPeerFaultP4_ACancelledCallIsNoEvidence(t *testing.T) {
	b := newBreaker(t, Config{}, Options{})
	for range 10_000 {
		admit(t, b).Ignore()
	}
	wantState(t, b, Closed)
	if b.Successes() != 0 || b.Failures() != 0 {
		t.Errorf("counted %d successes and %d failures of cancelled calls, want none", b.Successes(), b.Failures())
	}
	b.Trip("test")
	b.HalfOpen()
	for range 100 {
		admit(t, b).Ignore() // neither closes nor opens, and gives the place back
	}
	wantState(t, b, HalfOpen)
}

// P5: a call that was begun while closed closed a half-open breaker.
func TestPeerFaultP5_ResultsOfAnOlderGenerationAreDropped(t *testing.T) {
	b := newBreaker(t, Config{SuccessThreshold: 1}, Options{})
	var old []Permit
	for range 10 {
		old = append(old, admit(t, b))
	}
	b.Trip("test")
	b.HalfOpen()
	old[0].Success(0)
	wantState(t, b, HalfOpen)
	old[1].Failure(0)
	wantState(t, b, HalfOpen)
	admit(t, b).Success(0)
	wantState(t, b, Closed)
	for _, p := range old[2:] {
		p.Failure(0)
	}
	wantState(t, b, Closed)
	if got := b.Failures(); got != 0 {
		t.Errorf("%d failures of an older generation were counted", got)
	}
}

// P6: reading the counts inside the state callback deadlocked.
func TestPeerFaultP6_HooksMayUseTheBreaker(t *testing.T) {
	var b *Breaker
	var path []State
	b = newBreaker(t, Config{}, Options{OnChange: func(c Change) {
		path = append(path, c.To)
		_, _, _ = b.Snapshot(), b.State(), b.Held()
		if c.To == Open && c.Reason == "first" {
			b.HalfOpen()
			b.Trip("second") // both are reported after this hook has returned
			if len(path) != 1 {
				t.Error("a hook was called while another ran")
			}
		}
	}})
	b.Trip("first")
	want := []State{Open, HalfOpen, Open}
	if len(path) != 3 || path[0] != want[0] || path[1] != want[1] || path[2] != want[2] {
		t.Errorf("changes to %v, want %v in order", path, want)
	}
}

// A hook that panics must not silence the hooks after it.
func TestPeerFaultP6_APanickingHookLosesNoOther(t *testing.T) {
	var path []State
	first := true
	b := newBreaker(t, Config{}, Options{OnChange: func(c Change) {
		path = append(path, c.To)
		if first {
			first = false
			panic("in the hook")
		}
	}})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of a hook was swallowed")
			}
		}()
		b.Trip("test")
	}()
	b.HalfOpen()
	if len(path) != 2 || path[1] != HalfOpen {
		t.Errorf("changes to %v, want open and half_open", path)
	}
}

// P8: half-open let 1,000 of 1,000 calls in.
func TestPeerFaultP8_HalfOpenStartsSlowly(t *testing.T) {
	b := newBreaker(t, Config{SuccessThreshold: 7}, Options{})
	b.Trip("test")
	b.HalfOpen()
	for _, want := range []int{1, 2, 4} {
		round := fill(b)
		if len(round) != want {
			t.Fatalf("half-open admits %d calls at once, want %d", len(round), want)
		}
		for _, p := range round {
			p.Success(0)
		}
	}
	wantState(t, b, Closed)
	if got := len(fill(b)); got != 8 {
		t.Errorf("the ramp begins with %d calls, want 8", got)
	}
}

// P11: a probe that was never reported blocked for ever.
func TestPeerFaultP11_AForgottenProbeLosesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{SuccessThreshold: 1, ProbeLease: 10 * time.Second}, Options{})
		b.Trip("test")
		b.HalfOpen()
		forgotten := admit(t, b)
		forward(10*time.Second - 1)
		refused(t, b, "the lease has not run out")
		forward(1)
		second := admit(t, b)
		forgotten.Failure(0)
		wantState(t, b, HalfOpen) // dropped: its place was given to another
		forward(20*time.Second - 1)
		refused(t, b, "leases double")
		second.Success(0) // late but in time: nobody has asked for its place
		wantState(t, b, Closed)
	})
}

// P11, the other side: an operation that takes longer than the lease can still close the breaker.
func TestPeerFaultP11_CallsLongerThanTheLeaseStillClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{SuccessThreshold: 1, ProbeLease: time.Second}, Options{})
		b.Trip("test")
		b.HalfOpen()
		for range 200 { // a caller every second, each of whose calls takes a minute
			if p, ok := b.Admit(); ok {
				time.AfterFunc(time.Minute, func() { p.Success(0) })
			}
			forward(time.Second)
			if b.State() == Closed {
				break
			}
		}
		wantState(t, b, Closed)
		forward(time.Minute)
	})
}

// P12: everything runs on fake time; an hour of outage takes no time at all.
func TestPeerFaultP12_AnHourOfOutageOnFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		began := time.Now()
		probes := 0
		for time.Since(began) < time.Hour {
			changed, at := b.Wait()
			if p, ok := b.Admit(); ok {
				p.Failure(0)
				probes++
				continue
			}
			select {
			case <-changed:
			case <-time.After(time.Until(at)):
			}
		}
		// 5 failures to open, 6 doublings in the first minute, then one each 45 to 60 s.
		if probes < 65 || probes > 95 {
			t.Errorf("%d calls reached a dead server in an hour, want 65 to 95", probes)
		}
	})
}

// P18: per-key breakers leaked memory. One that was never in trouble keeps nothing
// beside itself, and one that was keeps nothing that grows.
func TestPeerFaultP18_TroubleKeepsNothingThatGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{OnChange: func(Change) {}})
		fail(t, b)
		for range 1000 {
			forward(time.Until(b.NextProbe()))
			admit(t, b).Failure(0)
			_, _ = b.Wait()
		}
		tr := b.trouble
		if cap(tr.probes.leases) > 16 || cap(tr.queue) > 16 {
			t.Errorf("after 1,000 openings %d leases and %d events are kept", cap(tr.probes.leases), cap(tr.queue))
		}
	})
}

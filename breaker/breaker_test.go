package breaker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// newBreaker returns a breaker of a configuration that must be valid.
func newBreaker(t *testing.T, cfg Config, opts Options) *Breaker {
	t.Helper()
	b, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// admit fails the test unless b admits.
func admit(t *testing.T, b *Breaker) Permit {
	t.Helper()
	p, ok := b.Admit()
	if !ok {
		t.Fatalf("Admit() refused, state %s", b.State())
	}
	return p
}

// refused fails the test if b admits.
func refused(t *testing.T, b *Breaker, why string) {
	t.Helper()
	if _, ok := b.Admit(); ok {
		t.Fatalf("Admit() = true, want a refusal: %s", why)
	}
}

func wantState(t *testing.T, b *Breaker, want State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("State() = %s, want %s", got, want)
	}
}

// fail reports failures until b is no longer closed, and returns how many it took.
func fail(t *testing.T, b *Breaker) int {
	t.Helper()
	for n := 1; n <= 1000; n++ {
		admit(t, b).Failure(0)
		if b.State() != Closed {
			return n
		}
	}
	t.Fatal("1,000 failures in a row did not open the breaker")
	return 0
}

// forward lets fake time pass.
func forward(d time.Duration) { <-time.After(d) }

func TestAClosedBreakerCostsNoAllocation(t *testing.T) {
	b := newBreaker(t, Config{}, Options{})
	if n := testing.AllocsPerRun(1000, func() {
		admit(t, b).Success(time.Millisecond)
	}); n != 0 {
		t.Errorf("a success allocates %v times, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		admit(t, b).Failure(time.Millisecond)
		for range 100 {
			admit(t, b).Success(time.Millisecond)
		}
	}); n != 0 {
		t.Errorf("a failure allocates %v times, want 0", n)
	}
	b.Trip("test")
	if n := testing.AllocsPerRun(1000, func() {
		refused(t, b, "open")
	}); n != 0 {
		t.Errorf("a refusal allocates %v times, want 0", n)
	}
}

func TestABreakerGoesOnceAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []Change
		b := newBreaker(t, Config{}, Options{OnChange: func(c Change) { changes = append(changes, c) }})
		if n := fail(t, b); n != 5 {
			t.Errorf("a new breaker opened after %d failures, want 5", n)
		}
		wantState(t, b, Open)
		refused(t, b, "just opened")
		due := b.NextProbe()
		if in := time.Until(due); in < 750*time.Millisecond || in > time.Second {
			t.Errorf("next probe in %s, want 0.75 to 1 s", in)
		}
		forward(time.Until(due) - 1)
		refused(t, b, "a nanosecond before it is due")
		forward(1)
		first := admit(t, b)
		wantState(t, b, HalfOpen)
		refused(t, b, "half-open begins with one call")
		first.Success(0)
		second, third := admit(t, b), admit(t, b)
		refused(t, b, "then two")
		second.Success(0)
		third.Success(0)
		wantState(t, b, Closed)

		var path []string
		for _, c := range changes {
			path = append(path, c.From.String()+">"+c.To.String()+": "+c.Reason)
		}
		want := []string{
			"closed>open: " + ReasonThreshold,
			"open>half_open: " + ReasonDue,
			"half_open>closed: " + ReasonRecovered,
		}
		if diff := cmp.Diff(want, path); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if ev := changes[0].Evidence; ev.Rule != Adaptive || ev.Score < ev.Threshold || ev.Baseline <= 0 {
			t.Errorf("evidence = %+v, want an adaptive score over its threshold", ev)
		}
		if !changes[0].NextProbe.Equal(due) {
			t.Errorf("the change names %s for the next probe, want %s", changes[0].NextProbe, due)
		}
		if got := b.Failures(); got != 5 {
			t.Errorf("Failures() = %d, want 5", got)
		}
		if got := b.Successes(); got != 3 {
			t.Errorf("Successes() = %d, want 3", got)
		}
	})
}

// ramping returns a breaker that has just closed.
func ramping(t *testing.T, cfg Config, opts Options) *Breaker {
	t.Helper()
	b := newBreaker(t, cfg, opts)
	b.Trip("test")
	b.HalfOpen()
	for b.State() == HalfOpen {
		b.ProbeSucceeded()
	}
	wantState(t, b, Closed)
	return b
}

// fill admits until refused.
func fill(b *Breaker) (permits []Permit) {
	for range 10_000 {
		p, ok := b.Admit()
		if !ok {
			break
		}
		permits = append(permits, p)
	}
	return permits
}

func TestTheRampGrowsByTimeWhateverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ramping(t, Config{}, Options{})
		var inFlight []int
		n := 0
		for range 8 {
			n += len(fill(b)) // none of them is ever reported
			inFlight = append(inFlight, n)
			changed, at := b.Wait()
			select {
			case <-changed:
				t.Fatal("Wait's channel is closed though nothing has changed")
			case <-time.After(time.Until(at)):
			}
		}
		if diff := cmp.Diff([]int{4, 8, 16, 32, 64, 128, 256, 512}, inFlight); diff != "" {
			t.Errorf("calls in flight by step (-want +got):\n%s", diff)
		}
		if got := len(fill(b)); got != 10_000 {
			t.Errorf("after the ramp %d of 10,000 calls are admitted", got)
		}
	})
}

func TestAPlaceGivenBackInTheRampWakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ramping(t, Config{}, Options{})
		permits := fill(b)
		changed, _ := b.Wait()
		permits[0].Success(0)
		<-changed
		admit(t, b).Ignore()
		admit(t, b)
		refused(t, b, "the ramp is full again")
	})
}

func TestNoRampIfNoneIsWanted(t *testing.T) {
	b := ramping(t, Config{RampFor: -1}, Options{})
	if got := len(fill(b)); got != 10_000 {
		t.Errorf("%d of 10,000 calls are admitted without a ramp", got)
	}
}

// A failure rate that is healthy must not make a recovery impossible; trouble that goes on must end it soon.
func TestTheRampNeedsHalfTheEvidence(t *testing.T) {
	for rule, want := range map[Rule]int{Adaptive: 3, Consecutive: 3, Rate: 10} {
		b := ramping(t, Config{Rule: rule}, Options{})
		if got := fail(t, b); got != want {
			t.Errorf("%s: %d failures in the ramp open it again, want %d", rule, got, want)
		}
	}
}

func TestOpenTimesDoubleAndCalmTakesDoublingsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{OpenFor: time.Second, MaxOpenFor: 10 * time.Second}, Options{})
		b.Trip("test")
		for i, seconds := range []int{1, 2, 4, 8, 10, 10} {
			want := time.Duration(seconds) * time.Second
			in := time.Until(b.NextProbe())
			if in < want*3/4 || in > want {
				t.Errorf("opening %d lasts %s, want 75 to 100 %% of %s", i, in, want)
			}
			forward(in)
			admit(t, b).Failure(0)
			wantState(t, b, Open)
		}
		b.HalfOpen()
		for range DefaultSuccessThreshold {
			b.ProbeSucceeded()
		}
		forward(25 * time.Second) // two calm periods: two steps down
		b.Trip("test")
		if in := time.Until(b.NextProbe()); in < 3*time.Second || in > 4*time.Second {
			t.Errorf("after two calm periods it opens for %s, want 75 to 100 %% of 4s", in)
		}
	})
}

func TestFixedRules(t *testing.T) {
	success, failure := 's', 'f'
	slow := 'S'
	for _, c := range []struct {
		name  string
		cfg   Config
		calls string
		open  bool
	}{
		{"four in a row are not five", Config{Rule: Consecutive}, "ffff", false},
		{"five in a row are", Config{Rule: Consecutive}, "fffff", true},
		{"a success begins a new run", Config{Rule: Consecutive}, "ffffsffff", false},
		{"half of four", Config{Rule: Rate, MinCalls: 4}, "sfsf", true},
		{"too few calls for a rate", Config{Rule: Rate, MinCalls: 5}, "ffff", false},
		{"less than half", Config{Rule: Rate, MinCalls: 4}, "sfssfssfs", false},
		{"off", Config{Rule: Off}, strings.Repeat("f", 100), false},
		{"slow calls beside the adaptive rule", Config{SlowCall: time.Second, MinCalls: 4}, "sSsS", true},
		{"few slow calls", Config{SlowCall: time.Second, MinCalls: 4}, "sSssSssS", false},
		{"slow calls under a stricter rate", Config{SlowCall: time.Second, SlowCallRate: 0.9, MinCalls: 4}, "SsSSSS", false},
		{"slow failures are slow too", Config{Rule: Consecutive, SlowCall: time.Second, MinCalls: 4}, "sFsF", true},
		{"slow calls when off", Config{Rule: Off, SlowCall: time.Second, MinCalls: 4}, "SSSSSSSS", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBreaker(t, c.cfg, Options{})
			for _, call := range c.calls {
				p := admit(t, b)
				switch call {
				case success:
					p.Success(time.Millisecond)
				case slow:
					p.Success(time.Second)
				case failure:
					p.Failure(time.Millisecond)
				default:
					p.Failure(time.Second)
				}
			}
			if got := b.State() == Open; got != c.open {
				t.Errorf("after %q open = %v, want %v", c.calls, got, c.open)
			}
		})
	}
}

func TestARateForgetsWhatItsWindowHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{Rule: Rate, Window: 10 * time.Second, MinCalls: 4}, Options{})
		for range 3 {
			admit(t, b).Failure(0)
			forward(4 * time.Second)
		}
		admit(t, b).Failure(0) // the first is 12 s old
		wantState(t, b, Closed)
		admit(t, b).Failure(0)
		wantState(t, b, Open)
	})
}

func TestASlowProbeFailsUnderTheSlowCallRule(t *testing.T) {
	b := newBreaker(t, Config{SlowCall: time.Second}, Options{})
	b.Trip("test")
	b.HalfOpen()
	admit(t, b).Success(2 * time.Second)
	wantState(t, b, Open)
}

func TestFiveFailuresInHoursAreNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		for range 50 {
			admit(t, b).Failure(0)
			forward(time.Hour)
		}
		wantState(t, b, Closed)
	})
}

func TestAZeroPermitIsHarmless(t *testing.T) {
	var p Permit
	p.Success(0)
	p.Failure(0)
	p.Ignore()
}

func TestABreakerIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(Breaker{}); got > 256 {
		t.Errorf("a breaker takes %d bytes, want at most 256", got)
	}
}

func TestPermitsKnowWhetherTheyAreFew(t *testing.T) {
	b := newBreaker(t, Config{}, Options{})
	if admit(t, b).Limited() {
		t.Error("a permit of a closed breaker is Limited")
	}
	b.Trip("test")
	b.HalfOpen()
	if !admit(t, b).Limited() {
		t.Error("a probe's permit is not Limited")
	}
	if !admit(t, ramping(t, Config{}, Options{})).Limited() {
		t.Error("a permit of the ramp is not Limited")
	}
}

func TestAfterTheRampFullEvidenceIsNeededAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ramping(t, Config{Rule: Rate}, Options{})
		admit(t, b).Success(0)
		forward(DefaultRampFor)
		if got := fail(t, b); got != DefaultMinCalls-1 {
			t.Errorf("after the ramp %d failures open it, want %d", got, DefaultMinCalls-1)
		}
	})
}

func TestAMillionSuccessesStillTakeFourFailures(t *testing.T) {
	b := newBreaker(t, Config{}, Options{})
	for range 1_000_000 {
		admit(t, b).Success(0)
	}
	if got := fail(t, b); got < fewest || got > 5 {
		t.Errorf("after a million successes %d failures open it, want 4 or 5", got)
	}
}

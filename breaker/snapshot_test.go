package breaker

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reborn is what a restart does: a snapshot goes through JSON into a new breaker.
func reborn(t *testing.T, b *Breaker, opts Options) *Breaker {
	t.Helper()
	text, err := json.Marshal(b.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var s Snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	next := newBreaker(t, Config{}, opts)
	if err := next.Restore(s); err != nil {
		t.Fatalf("Restore(%s) = %v", text, err)
	}
	return next
}

func TestARestoredOpenBreakerProbesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		fail(t, b)
		forward(time.Until(b.NextProbe()))
		admit(t, b).Failure(0)
		var changes []Change
		next := reborn(t, b, Options{OnChange: func(c Change) { changes = append(changes, c) }})
		wantState(t, next, Open)
		if len(changes) != 1 || changes[0].To != Open || changes[0].Reason != ReasonProbe {
			t.Errorf("changes = %+v, want one to open for the old reason", changes)
		}
		p := admit(t, next)
		refused(t, next, "one probe first")
		p.Failure(0)
		if in := time.Until(next.NextProbe()); in < 3*time.Second || in > 4*time.Second {
			t.Errorf("the third opening lasts %s, want 75 to 100 %% of 4s: the doublings survive", in)
		}
		if err := next.Restore(newBreaker(t, Config{}, Options{}).Snapshot()); err != nil {
			t.Fatal(err)
		}
		wantState(t, next, Closed)
	})
}

func TestTheBaselineSurvivesARestartAndFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		for i := range 20_000 { // 5 % is healthy here
			if p := admit(t, b); i%20 == 0 {
				p.Failure(0)
				forward(20 * time.Millisecond)
			} else {
				p.Success(0)
			}
		}
		learned := b.Snapshot()
		if learned.Healthy < 0.05 || learned.Healthy > 0.06 {
			t.Fatalf("learned %v as healthy, want a little above 0.05", learned.Healthy)
		}
		next := reborn(t, b, Options{}).Snapshot()
		if diff := cmp.Diff([]float64{learned.Healthy, learned.BaselineCalls, learned.BaselineFailed},
			[]float64{next.Healthy, next.BaselineCalls, next.BaselineFailed}); diff != "" {
			t.Errorf("baseline after a restart (-before +after):\n%s", diff)
		}
		forward(30 * 24 * time.Hour)
		old := newBreaker(t, Config{}, Options{})
		if err := old.Restore(learned); err != nil {
			t.Fatal(err)
		}
		if s := old.Snapshot(); math.Abs(s.BaselineCalls-priorCalls) > 1 || math.Abs(s.BaselineFailed-priorFailed) > 1 {
			t.Errorf("a month later the baseline is %v in %v, want the prior", s.BaselineFailed, s.BaselineCalls)
		}
	})
}

func TestHoldsSurviveARestart(t *testing.T) {
	b := newBreaker(t, Config{}, Options{})
	b.HoldOpen("maintenance")
	next := reborn(t, b, Options{})
	if next.Held() != HeldOpen || next.Snapshot().Reason != "maintenance" {
		t.Errorf("held %s for %q, want open for maintenance", next.Held(), next.Snapshot().Reason)
	}
	refused(t, next, "held open")
	b.HoldClosed("trust me")
	next = reborn(t, b, Options{})
	for range 100 {
		admit(t, next).Failure(0)
	}
	wantState(t, next, Closed)
}

func TestImpossibleSnapshotsAreRefusedWhole(t *testing.T) {
	good := newBreaker(t, Config{}, Options{}).Snapshot()
	for name, spoil := range map[string]func(*Snapshot){
		"version":         func(s *Snapshot) { s.Version = 2 },
		"state":           func(s *Snapshot) { s.State = 3 },
		"held":            func(s *Snapshot) { s.Held = HeldClosed },
		"level":           func(s *Snapshot) { s.Level = -1 },
		"baseline_calls":  func(s *Snapshot) { s.BaselineCalls = math.NaN() },
		"baseline_failed": func(s *Snapshot) { s.BaselineFailed = s.BaselineCalls + 1 },
		"healthy":         func(s *Snapshot) { s.Healthy = 0.5 },
	} {
		b := newBreaker(t, Config{}, Options{})
		before := b.Snapshot()
		s := good
		s.State, s.Level = Open, 3
		spoil(&s)
		err := b.Restore(s)
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("Restore with a bad %s = %v, want an error that names it", name, err)
		}
		after := b.Snapshot()
		after.At = before.At
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("a refused snapshot changed the breaker (-before +after):\n%s", diff)
		}
	}
}

// FuzzRestore feeds any JSON: whatever is accepted must leave a breaker that
// can be saved again, and that comes back when its calls succeed.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"version":1,"state":"open","level":3,"baseline_failed":5,"baseline_calls":500,"healthy":0.015,"at":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"version":1,"state":"open","held":"open","at":"9999-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"version":1,"state":"closed","level":64,"baseline_calls":1e-300,"baseline_failed":1e-301,"at":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Snapshot
		if json.Unmarshal(text, &s) != nil {
			return
		}
		b, err := New(Config{RampFor: -1}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Restore(s) != nil {
			return
		}
		again := b.Snapshot()
		if err := again.Validate(); err != nil {
			t.Fatalf("a restored breaker saves %+v: %v", again, err)
		}
		if !(again.Healthy >= lowestRate && again.Healthy <= highestRate && again.Threshold > 0) {
			t.Fatalf("a restored breaker takes %v for healthy and trips at %v", again.Healthy, again.Threshold)
		}
		b.Release()
		for range 2 * DefaultSuccessThreshold {
			if p, ok := b.Admit(); ok {
				p.Success(0)
			}
		}
		if b.State() != Closed {
			t.Fatalf("a restored breaker does not recover: %s", b.State())
		}
	})
}

func TestRestoredDoublingsEndAtTheLimit(t *testing.T) {
	b := newBreaker(t, Config{}, Options{})
	s := b.Snapshot()
	s.Level = 64
	if err := b.Restore(s); err != nil {
		t.Fatal(err)
	}
	if got := b.Snapshot().Level; got != 6 {
		t.Errorf("64 doublings of 1s up to 60s are restored as %d, want 6", got)
	}
}

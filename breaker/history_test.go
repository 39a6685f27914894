package breaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestASnapshotTellsWhatHappenedBetweenTwoLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		if s := b.Snapshot(); s.Transitions != nil || s.OpenTime != 0 {
			t.Errorf("a new breaker has %v transitions and was open for %v", s.Transitions, s.OpenTime)
		}
		b.Trip("seen from outside")
		forward(700 * time.Millisecond)
		if got := b.Snapshot().OpenTime; got != 700*time.Millisecond {
			t.Errorf("OpenTime = %v while it is open, want 700ms", got)
		}
		b.HoldOpen("maintenance") // open already: no transition, and the opening lasts
		forward(300 * time.Millisecond)
		b.Release()
		b.HalfOpen()
		forward(time.Minute)
		b.Trip("again")
		b.HoldClosed("forced")
		b.HoldClosed("forced again")
		want := []Transition{{Closed, Open, 1}, {HalfOpen, Open, 1}, {Open, Closed, 1}, {Open, HalfOpen, 1}}
		s := b.Snapshot()
		if diff := cmp.Diff(want, s.Transitions); diff != "" {
			t.Errorf("Transitions (-want +got):\n%s", diff)
		}
		if s.OpenTime != time.Second {
			t.Errorf("OpenTime = %v, want 1s: neither half-open nor held closed counts", s.OpenTime)
		}
	})
}

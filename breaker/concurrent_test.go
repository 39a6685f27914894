package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/scenario"
)

// TestManyCallersAtOnce lets callers, an owner and a person work on one breaker and
// checks what must hold whoever comes first: hooks come one at a time and join up, and
// half-open never lets in more than its window.
func TestManyCallersAtOnce(t *testing.T) {
	var state, running atomic.Int64
	var changes atomic.Int64
	b := newBreaker(t, Config{OpenFor: time.Millisecond, MaxOpenFor: 2 * time.Millisecond, RampFor: time.Millisecond}, Options{
		OnChange: func(c Change) {
			if running.Add(1) != 1 {
				t.Error("two hooks ran at once")
			}
			if got := State(state.Swap(int64(c.To))); got != c.From {
				t.Errorf("a change from %s follows one to %s", c.From, got)
			}
			changes.Add(1)
			running.Add(-1)
		},
	})
	var callers sync.WaitGroup
	for g := range 8 {
		callers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range 1_000 {
				if p, ok := b.Admit(); ok {
					switch n := rng.IntN(10); {
					case n < 6:
						p.Success(0)
					case n < 9:
						p.Failure(0)
					default:
						p.Ignore()
					}
				} else if changed, at := b.Wait(); !at.IsZero() {
					select {
					case <-changed:
					case <-time.After(time.Until(at)):
					}
				}
				if rng.IntN(200) == 0 {
					b.Trip("test")
					b.HalfOpen()
					_ = b.Restore(b.Snapshot())
				}
			}
		})
	}
	callers.Wait()
	if got := State(state.Load()); got != b.State() {
		t.Errorf("the hooks end at %s, the breaker at %s", got, b.State())
	}
	if changes.Load() == 0 {
		t.Error("nothing changed")
	}
}

// TestParkedCallersComeBackInARamp parks 200 callers on an open breaker: the server never sees more of
// them at once than the ramp allows, and all are through soon.
func TestParkedCallersComeBackInARamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Config{}, Options{})
		fail(t, b)
		began := time.Now()
		var inFlight, most, done atomic.Int64
		var first atomic.Int64
		var parked sync.WaitGroup
		for range 200 {
			parked.Go(func() {
				for {
					changed, at := b.Wait()
					if p, ok := b.Admit(); ok {
						n := inFlight.Add(1)
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						forward(20 * time.Millisecond)
						inFlight.Add(-1)
						first.CompareAndSwap(0, int64(time.Since(began)))
						done.Add(1)
						p.Success(20 * time.Millisecond)
						return
					}
					select {
					case <-changed:
					case <-time.After(time.Until(at)):
					}
				}
			})
		}
		parked.Wait()
		took := time.Since(began)
		t.Logf("first after %s, all after %s, at most %d at once", time.Duration(first.Load()), took, most.Load())
		if first := time.Duration(first.Load()); first > 1100*time.Millisecond || took > 3*time.Second {
			t.Errorf("the first caller was done after %s and the last after %s, want about 1 s and at most 3 s", first, took)
		}
		if most.Load() > 32 {
			t.Errorf("%d callers at once, want the ramp to hold them at 32 or fewer", most.Load())
		}
	})
}

// TestTheBreakerTripsWhereItsRuleDoes runs a stream through a whole breaker on fake time and through the
// rule alone: both must notice at the same call.
func TestTheBreakerTripsWhereItsRuleDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(20) {
			alone, s := newOwn(Config{}), scenario.NewStream(seed)
			s.FalseTrips(alone, 2000, scenario.Always(0.01))
			want, _ := s.UntilTrip(alone, scenario.GiveUp, scenario.Always(0.1))

			b := newBreaker(t, Config{}, Options{})
			s = scenario.NewStream(seed)
			began := time.Now()
			got := 0
			for i := 0; b.State() == Closed; i++ {
				p := 0.01
				if i >= 2000 {
					p = 0.1
					got++
				}
				failed := s.Draw(p)
				forward(time.Until(began.Add(time.Duration(s.Now()))))
				permit := admit(t, b)
				if failed {
					permit.Failure(0)
				} else {
					permit.Success(0)
				}
			}
			if got != want {
				t.Errorf("seed %d: the breaker trips at call %d, its rule at call %d", seed, got, want)
			}
		}
	})
}

package perdure_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/internal/scenario"
)

// TestStorm holds the budget to its bar: at 100 % failure, repeats a second ≤
// max(floor, 0.1 × calls a second), and the load in any second ≤ 1.25 × what
// is offered, above the floor.
func TestStorm(t *testing.T) {
	const (
		healthy = 10
		down    = 30 // seconds
		floor   = 5
	)
	for _, failure := range []struct {
		name string
		err  error
	}{{"refused", syscall.ECONNREFUSED}, {"overloaded", sqlError("53200")}, {"marked", perdure.Transient(errOwn)}} {
		for _, callers := range []int{1, 2, 5, 20, 50, 100, 200} {
			t.Run(fmt.Sprintf("%s/%d callers", failure.name, callers), func(t *testing.T) {
				// The breakers are kept out of it: the budget has to hold by itself.
				off := breaker.Config{Rule: breaker.Off}
				bubble(t, perdure.Config{Policy: perdure.Policy{Breaker: off}, Database: off}, func(t managed) {
					m := t.m
					op := perdure.Op{Name: "storm.read", ReadOnly: true}
					load := scenario.Storm{
						Callers: callers, Healthy: healthy * time.Second, Down: down * time.Second, Failure: failure.err,
					}.Run(t.Context(), func(ctx context.Context, attempt func(context.Context) error) error {
						return m.Do(ctx, op, attempt)
					})
					calls, repeats := load.Calls, load.Repeats
					worst, most := 0.0, 0.0
					for s := healthy; s < healthy+down-1; s++ {
						allowed := max(float64(floor), 0.1*float64(calls.At(s)))
						// The load is held to its bar from the first second on; in that one, callers that begin
						// to wait call less than what a budget can know.
						if r := float64(repeats.At(s)); s > healthy && r > allowed {
							t.Errorf("second %d: %d repeats for %d calls, want at most %.1f", s, repeats.At(s), calls.At(s), allowed)
						}
						if s > healthy {
							worst = max(worst, float64(repeats.At(s))/allowed)
						}
						if offered := float64(calls.At(s)); offered >= 4*floor {
							most = max(most, (offered+float64(repeats.At(s)))/offered)
						}
					}
					if most > 1.25 {
						t.Errorf("load %.2f × what was offered, want at most 1.25", most)
					}
					if load.Failed.Load() == 0 {
						t.Error("nothing failed: the test shows nothing")
					}
					t.Logf("calls/s %d, repeats/s at most %.0f %% of what the bar allows, load at most %.2f × offered",
						calls.At(healthy+down/2), 100*worst, most)
				})
			})
		}
	}
}

// server is a database of which only the load is looked at.
type server struct {
	down     atomic.Bool
	inFlight atomic.Int64
	most     atomic.Int64
	served   atomic.Int64
}

func (s *server) probe(ctx context.Context) error {
	if s.down.Load() {
		return syscall.ECONNREFUSED
	}
	return ctx.Err()
}

func (s *server) work(ctx context.Context) error {
	if s.down.Load() {
		return syscall.ECONNREFUSED
	}
	n := s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	sleep(ctx, 5*time.Millisecond)
	s.served.Add(1)
	return nil
}

// TestStormOfParkedCalls: 200 callers wait for a server that is away for a
// minute. When it is back they are let in by the ramp, all within three
// seconds, the first within one; while it is away it sees one probe at a time.
func TestStormOfParkedCalls(t *testing.T) {
	const callers = 200
	op := perdure.Op{Name: "storm.parked", Idempotent: true, Policy: &perdure.Policy{
		Park: 10 * time.Minute, Breaker: breaker.Config{Rule: breaker.Off},
	}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		var s server
		if _, err := m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		s.down.Store(true)
		var first, last atomic.Int64
		var back time.Time
		var attempts atomic.Int64
		time.AfterFunc(time.Minute, func() {
			back = time.Now()
			s.down.Store(false)
		})
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				err := m.Do(t.Context(), op, func(ctx context.Context) error {
					attempts.Add(1)
					return s.work(ctx)
				})
				if err != nil {
					t.Errorf("Do() = %v", err)
				}
				since := int64(time.Since(back))
				first.CompareAndSwap(0, since)
				last.Store(max(last.Load(), since))
			})
		}
		wg.Wait()
		if d := time.Duration(first.Load()); d > time.Second {
			t.Errorf("the first was done %s after the server was back, want at most 1s", d)
		}
		if d := time.Duration(last.Load()); d > 3*time.Second {
			t.Errorf("the last was done %s after the server was back, want at most 3s", d)
		}
		if n := attempts.Load(); n > 2*callers {
			t.Errorf("%d attempts of %d callers, want at most the one that each lost and the one that succeeded", n, callers)
		}
		t.Logf("first after %s, all after %s, at most %d at a time", time.Duration(first.Load()), time.Duration(last.Load()), s.most.Load())
	})
}

func TestTheRampPacesTheReleaseOfParkedCalls(t *testing.T) {
	op := perdure.Op{Name: "storm.ramp", ReadOnly: true, Policy: &perdure.Policy{
		Park: time.Hour, Breaker: breaker.Config{Rule: breaker.Off},
	}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		var s server
		if _, err := m.SetProbe(s.probe); err != nil {
			t.Fatal(err)
		}
		m.Breaker("database").HoldOpen("test")
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				if err := m.Do(t.Context(), op, s.work); err != nil {
					t.Error(err)
				}
			})
		}
		sleep(t.Context(), time.Minute)
		if n := m.Snapshot().Parked; n != 500 {
			t.Errorf("%d calls are parked, want 500", n)
		}
		m.Breaker("database").Release()
		begun := time.Now()
		for limit := int64(1); time.Since(begun) < 100*time.Millisecond; limit++ {
			sleep(t.Context(), 5*time.Millisecond)
			if most := s.most.Load(); most > 64 {
				t.Errorf("%s after the release %d calls are in flight: that is no ramp", time.Since(begun), most)
			}
		}
		wg.Wait()
	})
}

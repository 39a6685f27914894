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
)

// seconds counts events by the second of fake time in which they happen.
type seconds struct {
	mu    sync.Mutex
	start time.Time
	n     []int
}

func (s *seconds) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := int(time.Since(s.start) / time.Second)
	for len(s.n) <= i {
		s.n = append(s.n, 0)
	}
	s.n[i]++
}

func (s *seconds) at(i int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.n) {
		return 0
	}
	return s.n[i]
}

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
					calls, repeats, failing := storm(t.T, m, callers, healthy, down, failure.err)
					worst, load := 0.0, 0.0
					for s := healthy; s < healthy+down-1; s++ {
						allowed := max(float64(floor), 0.1*float64(calls.at(s)))
						// The load is held to its bar from the first second on; in that one, callers that begin
						// to wait call less than what a budget can know.
						if r := float64(repeats.at(s)); s > healthy && r > allowed {
							t.Errorf("second %d: %d repeats for %d calls, want at most %.1f", s, repeats.at(s), calls.at(s), allowed)
						}
						if s > healthy {
							worst = max(worst, float64(repeats.at(s))/allowed)
						}
						if offered := float64(calls.at(s)); offered >= 4*floor {
							load = max(load, (offered+float64(repeats.at(s)))/offered)
						}
					}
					if load > 1.25 {
						t.Errorf("load %.2f × what was offered, want at most 1.25", load)
					}
					if failing.Load() == 0 {
						t.Error("nothing failed: the test shows nothing")
					}
					t.Logf("calls/s %d, repeats/s at most %.0f %% of what the bar allows, load at most %.2f × offered",
						calls.at(healthy+down/2), 100*worst, load)
				})
			})
		}
	}
}

// storm lets callers work against a server that is healthy for a while and
// then fails every attempt.
func storm(t *testing.T, m *perdure.Manager, callers, healthy, down int, failure error) (calls, repeats *seconds, failing *atomic.Int64) {
	t.Helper()
	start := time.Now()
	calls, repeats = &seconds{start: start}, &seconds{start: start}
	failing = new(atomic.Int64)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(healthy+down)*time.Second)
	defer cancel()
	op := perdure.Op{Name: "storm.read", ReadOnly: true}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			sleep(ctx, time.Duration(i)*time.Millisecond)
			for ctx.Err() == nil {
				attempt := 0
				calls.add()
				_ = m.Do(ctx, op, func(ctx context.Context) error {
					if attempt++; attempt > 1 {
						repeats.add()
					}
					sleep(context.WithoutCancel(ctx), 5*time.Millisecond)
					if time.Since(start) < time.Duration(healthy)*time.Second {
						return nil
					}
					failing.Add(1)
					return failure
				})
				sleep(ctx, 45*time.Millisecond)
			}
		})
	}
	wg.Wait()
	return calls, repeats, failing
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

package scenario

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Storm is a number of callers that go on calling while the server fails
// every attempt. It is meant for the fake time of testing/synctest.
type Storm struct {
	// Callers is how many there are. Each calls, pauses for 45 ms, and calls again; an attempt takes 5 ms.
	Callers int
	// Healthy and Down are how long attempts succeed, and then fail. Whole seconds.
	Healthy, Down time.Duration
	// Failure is the error of every attempt while the server is down.
	Failure error
	// FailAfter is how long such an attempt takes. Zero means 5 ms, as when it succeeds.
	FailAfter time.Duration
}

const (
	stormAttempt = 5 * time.Millisecond
	stormPause   = 45 * time.Millisecond
)

// Load counts what a Storm did, by the second of its time.
type Load struct {
	Calls   *Seconds // begun
	Tries   *Seconds // attempts that reached the server, the first ones
	Repeats *Seconds // and the further ones
	Failed  atomic.Int64
}

// Run lets the callers work through do, which runs one call and its attempts
// under the policy that is looked at, until the time is over or ctx ends.
func (s Storm) Run(ctx context.Context, do func(ctx context.Context, attempt func(ctx context.Context) error) error) *Load {
	start := time.Now()
	load := &Load{Calls: newSeconds(start), Tries: newSeconds(start), Repeats: newSeconds(start)}
	ctx, cancel := context.WithTimeout(ctx, s.Healthy+s.Down)
	defer cancel()
	var wg sync.WaitGroup
	for i := range s.Callers {
		wg.Go(func() {
			pause(ctx, time.Duration(i)*time.Millisecond)
			for ctx.Err() == nil {
				attempt := 0
				load.Calls.add()
				_ = do(ctx, func(ctx context.Context) error {
					if attempt++; attempt > 1 {
						load.Repeats.add()
					} else {
						load.Tries.add()
					}
					takes := stormAttempt
					if down := time.Since(start) >= s.Healthy; down && s.FailAfter > 0 {
						takes = s.FailAfter
					}
					pause(context.WithoutCancel(ctx), takes)
					if time.Since(start) < s.Healthy {
						return nil
					}
					load.Failed.Add(1)
					return s.Failure
				})
				pause(ctx, stormPause)
			}
		})
	}
	wg.Wait()
	return load
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Seconds counts events by the second in which they happen. It is safe for
// concurrent use.
type Seconds struct {
	start time.Time

	mu sync.Mutex // guards the fields below
	n  []int
}

func newSeconds(start time.Time) *Seconds { return &Seconds{start: start} }

func (s *Seconds) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := int(time.Since(s.start) / time.Second)
	for len(s.n) <= i {
		s.n = append(s.n, 0)
	}
	s.n[i]++
}

// At returns how many events the i-th second had, from 0.
func (s *Seconds) At(i int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.n) {
		return 0
	}
	return s.n[i]
}

// Between returns how many events the seconds from first to last have, last not included.
func (s *Seconds) Between(first, last int) (n int) {
	for i := first; i < last; i++ {
		n += s.At(i)
	}
	return n
}

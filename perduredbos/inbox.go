package perduredbos

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perdure/perdure/pipeline"
)

// arrival is a signal with the time at which it came.
type arrival struct {
	signal pipeline.Signal
	at     time.Time
}

// inbox runs tasks and timers, and gathers what comes of them.
type inbox struct {
	tasks sync.WaitGroup
	ready chan struct{} // holds a token while there are arrivals

	mu       sync.Mutex // guards the fields below
	arrivals []arrival
	timers   map[*time.Timer]struct{}
}

func newInbox() *inbox {
	return &inbox{ready: make(chan struct{}, 1), timers: make(map[*time.Timer]struct{})}
}

func (b *inbox) start(ctx context.Context, t pipeline.Task) {
	b.tasks.Go(func() {
		// A task that ends its goroutine never returns here, but the run must hear of it.
		o := pipeline.Outcome{Failure: pipeline.NewFailure(errors.New("the task ended its goroutine"))}
		defer func() { b.put(pipeline.Signal{Task: t, Outcome: o}) }()
		o = t.Execute(ctx)
	})
}

func (b *inbox) wake(t pipeline.Task, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(at), func() {
		b.mu.Lock()
		_, waits := b.timers[timer]
		delete(b.timers, timer)
		b.mu.Unlock()
		if waits {
			b.put(pipeline.Signal{Task: t, Woke: true})
		}
	})
	b.timers[timer] = struct{}{}
}

func (b *inbox) put(s pipeline.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals = append(b.arrivals, arrival{s, time.Now().UTC().Round(0)})
	if len(b.arrivals) == 1 {
		b.ready <- struct{}{}
	}
}

// take waits for at least one arrival and returns all that there are, at most
// max of them. When ctx is done first, there are none.
func (b *inbox) take(ctx context.Context, most int) []arrival {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.arrivals), most)
	out := b.arrivals[:n:n]
	if b.arrivals = b.arrivals[n:]; len(b.arrivals) > 0 {
		b.ready <- struct{}{}
	}
	return out
}

// close stops the timers and waits for the tasks.
func (b *inbox) close() {
	b.tasks.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for timer := range b.timers {
		timer.Stop()
	}
	clear(b.timers)
}

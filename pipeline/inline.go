package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Inline is the engine that runs tasks on goroutines of this process and
// remembers nothing. It serves one run.
type Inline struct {
	tasks sync.WaitGroup
	ready chan struct{} // holds a token while queue is not empty

	mu     sync.Mutex // guards the fields below
	queue  []Signal
	timers map[*time.Timer]struct{}
}

var _ Engine = (*Inline)(nil)

// NewInline returns an engine for one run.
func NewInline() *Inline {
	return &Inline{ready: make(chan struct{}, 1), timers: make(map[*time.Timer]struct{})}
}

// Start runs the task on a goroutine of its own.
func (e *Inline) Start(ctx context.Context, t Task) {
	e.tasks.Go(func() {
		// A task that ends its goroutine (runtime.Goexit) never returns here,
		// but the run must hear of it.
		o := Outcome{Failure: NewFailure(errors.New("the task ended its goroutine"))}
		defer func() { e.signal(Signal{Task: t, Outcome: o}) }()
		o = t.Execute(ctx)
	})
}

// Wake sets a timer. No goroutine waits for it.
func (e *Inline) Wake(_ context.Context, t Task, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(at), func() {
		e.mu.Lock()
		delete(e.timers, timer)
		e.mu.Unlock()
		e.signal(Signal{Task: t, Woke: true})
	})
	e.timers[timer] = struct{}{}
}

// Next returns the signals in the order in which they came.
func (e *Inline) Next(ctx context.Context) (Signal, error) {
	select {
	case <-e.ready:
	case <-ctx.Done():
		return Signal{}, context.Cause(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.queue[0]
	e.queue = e.queue[1:]
	if len(e.queue) > 0 {
		e.ready <- struct{}{}
	}
	return s, nil
}

// Now is the time of this machine.
func (e *Inline) Now() time.Time { return time.Now() }

// Close stops the timers and waits for the tasks.
func (e *Inline) Close() {
	e.tasks.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	for timer := range e.timers {
		timer.Stop()
	}
	clear(e.timers)
}

func (e *Inline) signal(s Signal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, s)
	if len(e.queue) == 1 {
		e.ready <- struct{}{}
	}
}

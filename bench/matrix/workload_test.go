package matrix

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/bench/matrix/subject"
)

const (
	// callers work at the same time; each has a connection if it wants one.
	callers = subject.Connections
	// callDeadline is how long a call may take, so long that no call fails because the machine is slow.
	callDeadline = time.Minute
	// severAfter is how long after the end of a peer's cell its connections are cut, for those who wait
	// without heeding any context.
	severAfter = 12 * time.Second
	// pause is how long a caller waits between two calls, and nap after a call that failed.
	pause = 4 * time.Millisecond
	nap   = 20 * time.Millisecond
)

// kind of a call.
type kind int

const (
	transactions kind = 1 << iota
	statements
	reads

	everything = transactions | statements | reads
)

// call is what a caller was told about one piece of work.
type call struct {
	key          int64 // unique; zero for a read
	kind         kind
	err          error
	began, ended time.Time
}

// workload is the work of the callers, without end: each transaction or statement writes a key of its own.
type workload struct {
	s    subject.Subject
	kind kind
	do   func(ctx context.Context, key int64) error // a transaction
	keys atomic.Int64
	wg   sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	calls [callers][]call
	gate  chan struct{} // not nil: nobody begins a call before it is closed
	busy  int           // calls under way
	moved chan struct{} // closed and replaced when a call has ended
}

const (
	insertSQL = "insert into effect (key) values ($1) returning *"
	readSQL   = "select count(*) from effect where key = $1"
)

// start lets the callers work until ctx ends. What has begun is finished.
func (w *workload) start(ctx context.Context) {
	w.moved = make(chan struct{})
	for c := range callers {
		w.wg.Go(func() {
			for i := c; ctx.Err() == nil; i++ {
				k := kind(1 << (i % 3))
				if w.kind&k == 0 || !w.enter(ctx) {
					continue
				}
				call := w.one(context.WithoutCancel(ctx), k)
				w.leave(c, call)
				wait := pause
				if call.err != nil {
					wait = nap/2 + rand.N(nap)
				}
				sleep(ctx, wait)
			}
		})
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (w *workload) one(ctx context.Context, k kind) call {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	c := call{kind: k, began: time.Now()}
	switch k {
	case transactions:
		c.key = w.keys.Add(1)
		c.err = w.do(ctx, c.key)
	case statements:
		c.key = w.keys.Add(1)
		c.err = w.s.Exec(ctx, insertSQL, c.key)
	default:
		_, c.err = w.s.Int(ctx, readSQL, c.key)
	}
	c.ended = time.Now()
	return c
}

// enter waits at the gate; it reports false when ctx ends first.
func (w *workload) enter(ctx context.Context) bool {
	for {
		w.mu.Lock()
		gate := w.gate
		if gate == nil {
			w.busy++
			w.mu.Unlock()
			return true
		}
		w.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done():
			return false
		}
	}
}

func (w *workload) leave(caller int, c call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.calls[caller] = append(w.calls[caller], c)
	close(w.moved)
	w.moved = make(chan struct{})
}

// until waits until a condition holds, which is asked after each call and with w.mu held; false when ctx ends first.
func (w *workload) until(ctx context.Context, holds func() bool) bool {
	for {
		w.mu.Lock()
		ok, moved := holds(), w.moved
		w.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// stop closes the gate and waits until no call is under way; false when ctx ends first. The callers' connections are idle then.
func (w *workload) stop(ctx context.Context) bool {
	w.mu.Lock()
	w.gate = make(chan struct{})
	w.mu.Unlock()
	return w.until(ctx, func() bool { return w.busy == 0 })
}

// underway returns how many calls are under way.
func (w *workload) underway() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy
}

// resume opens the gate.
func (w *workload) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.gate)
	w.gate = nil
}

// failedSince reports whether a caller has been told of an error since a moment.
func (w *workload) failedSince(at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, calls := range w.calls {
		for _, c := range calls {
			if c.err != nil && !c.ended.Before(at) {
				return true
			}
		}
	}
	return false
}

// succeeded waits until each caller has had success with each kind of work that began after a moment, and returns when the last one
// of them ended; false when ctx ends first.
func (w *workload) succeeded(ctx context.Context, after time.Time) (at time.Time, ok bool) {
	ok = w.until(ctx, func() bool {
		at = after
		for _, calls := range w.calls {
			var done kind
			for _, c := range calls {
				if c.err == nil && !c.began.Before(after) && done&c.kind == 0 {
					done |= c.kind
					if c.ended.After(at) {
						at = c.ended
					}
				}
			}
			if done != w.kind {
				return false
			}
		}
		return true
	})
	return at, ok
}

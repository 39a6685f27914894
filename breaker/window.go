package breaker

import "time"

// buckets is the number of steps in which a window forgets.
const buckets = 10

// window counts the calls of the last stretch of time.
type window struct {
	step  int64 // nanoseconds of a bucket
	head  int64 // the number of the newest bucket: its time divided by step
	total bucket
	ring  [buckets]bucket
}

type bucket struct{ calls, failed, slow int64 }

func newWindow(span time.Duration) *window {
	return &window{step: max(1, int64(span)/buckets)}
}

func (w *window) clear() { *w = window{step: w.step, head: w.head} }

func (w *window) add(now int64, failed, slow bool) {
	w.advance(now / w.step)
	b := &w.ring[w.head%buckets]
	b.calls++
	w.total.calls++
	if failed {
		b.failed++
		w.total.failed++
	}
	if slow {
		b.slow++
		w.total.slow++
	}
}

// advance empties the buckets that the window has left behind. A clock reading
// that is older than the newest one counts into the newest bucket.
func (w *window) advance(to int64) {
	if to-w.head >= buckets {
		w.clear()
		w.head = to
		return
	}
	for w.head < to {
		w.head++
		b := &w.ring[w.head%buckets]
		w.total.calls -= b.calls
		w.total.failed -= b.failed
		w.total.slow -= b.slow
		*b = bucket{}
	}
}

func (w *window) failureRate(minCalls int) float64 { return w.rate(w.total.failed, minCalls) }

func (w *window) slowRate(minCalls int) float64 { return w.rate(w.total.slow, minCalls) }

func (w *window) rate(n int64, minCalls int) float64 {
	if w.total.calls < int64(minCalls) || w.total.calls == 0 {
		return 0
	}
	return float64(n) / float64(w.total.calls)
}

package perdurelog

import (
	"sync"
	"time"
)

// maxKinds bounds the kinds of lines that are told apart: names of operations
// come from outside. Further kinds share one.
const maxKinds = 1024

// kind is what lines are limited by.
type kind struct{ text, operation, class string }

// limiter is a token bucket for each kind of line: burst tokens, one more each
// every.
type limiter struct {
	burst int // negative: no limit
	every time.Duration

	mu    sync.Mutex // guards the fields below
	kinds map[kind]*bucket
	swept time.Time
}

// bucket holds tokens as the time at which it will be full: each token taken
// moves it on by every, and it is empty when that is burst × every ahead (the
// generic cell rate algorithm, ITU-T I.371).
type bucket struct {
	full       time.Time
	suppressed int
}

func newLimiter(burst int, every time.Duration) *limiter {
	return &limiter{burst: burst, every: every, kinds: map[kind]*bucket{}}
}

// pass reports whether a line may pass, and how many of its kind did not since
// the last that did.
func (l *limiter) pass(k kind) (suppressed int, ok bool) {
	if l.burst < 0 {
		return 0, true
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(k, now)
	if b.full.Before(now) {
		b.full = now
	}
	next := b.full.Add(l.every)
	if next.Sub(now) > time.Duration(l.burst)*l.every {
		b.suppressed++
		return 0, false
	}
	b.full = next
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}

// bucket finds or makes the bucket of a kind. If there are too many, those
// that are full and have nothing to tell make room.
func (l *limiter) bucket(k kind, now time.Time) *bucket {
	if b, ok := l.kinds[k]; ok {
		return b
	}
	if len(l.kinds) >= maxKinds && now.Sub(l.swept) >= l.every {
		l.swept = now
		for old, b := range l.kinds {
			if b.suppressed == 0 && b.full.Before(now) {
				delete(l.kinds, old)
			}
		}
	}
	if len(l.kinds) >= maxKinds {
		k = kind{}
		if b, ok := l.kinds[k]; ok {
			return b
		}
	}
	b := &bucket{full: now}
	l.kinds[k] = b
	return b
}

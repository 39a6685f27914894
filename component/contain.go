package component

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// abandonedError is the error of a func that did not return in time.
type abandonedError struct {
	grace time.Duration
	cause error // of the end of its context
}

func (e *abandonedError) Error() string {
	return fmt.Sprintf("did not return within %v after the end of its context (%v), and still runs", e.grace, e.cause)
}

// Unwrap returns the cause of the context's end.
func (e *abandonedError) Unwrap() error { return e.cause }

// isAbandoned reports whether err says that this func was abandoned, and not one
// that it called.
func isAbandoned(err error) bool {
	_, ok := err.(*abandonedError) //nolint:errorlint // see above
	return ok
}

// contain runs fn in a goroutine of its own and returns what it returns. A panic
// and a runtime.Goexit become errors. If fn has not returned grace after the
// end of ctx, contain returns an *abandonedError, and when fn ends after all, late
// is called in its goroutine with its error: exactly one of the two gets it.
// abandoned is called before contain gives up, and before late.
func contain[T any](
	ctx context.Context, grace time.Duration, fn func(context.Context) (T, error), abandoned func(), late func(error),
) (T, error) {
	type result struct {
		value T
		err   error
	}
	var taken atomic.Bool
	results, told := make(chan result, 1), make(chan struct{})
	go func() {
		_ = deepen(0)
		r := result{err: errExited}
		defer func() {
			if v := recover(); v != nil {
				r.err = &panicError{v, debug.Stack()}
			}
			if taken.CompareAndSwap(false, true) {
				results <- r
			} else {
				<-told
				late(r.err)
			}
		}()
		r.value, r.err = fn(ctx)
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	if grace > 0 {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case r := <-results:
			return r.value, r.err
		case <-timer.C:
		}
	}
	if !taken.CompareAndSwap(false, true) {
		r := <-results // it ended just now
		return r.value, r.err
	}
	abandoned()
	close(told)
	var none T
	return none, &abandonedError{grace, context.Cause(ctx)}
}

// deepen makes the stack of a new goroutine deep enough for encoding/json at
// once, while there is nothing on it: growing in steps, with all frames to be
// copied each time, took half of the time of a small invocation.
//
//go:noinline
func deepen(i uint8) byte {
	var room [8 << 10]byte
	return room[i]
}

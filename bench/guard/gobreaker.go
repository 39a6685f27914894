package guard

import (
	"context"
	"errors"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"
)

// Composed is cenkalti/backoff v5.0.3 around sony/gobreaker v2.4.0, which is
// how the two are put together by hand: backoff.Retry as in its ExampleRetry
// (a Permanent error ends it), gobreaker with its default settings (trips at the
// sixth consecutive failure, half-open after 60 s; the comment on Settings).
type Composed struct {
	// Breaker is gobreaker's.
	Breaker *gobreaker.CircuitBreaker[struct{}]
	delays  func() backoff.BackOff
}

// Do runs work; gobreaker knows no context, and counts a caller's cancel as a failure.
func (c *Composed) Do(ctx context.Context, work Work) error {
	return c.retry(ctx, func() (struct{}, error) { return struct{}{}, work(ctx) })
}

func (c *Composed) retry(ctx context.Context, attempt func() (struct{}, error)) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		v, err := c.Breaker.Execute(attempt)
		if err != nil && (errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)) {
			return v, backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithMaxTries(Attempts), backoff.WithBackOff(c.delays()))
	return err
}

// Honouring is Composed with what it takes for a caller's context: work is not
// begun once the context has ended, its end is no failure of the work (by
// Settings.IsExcluded, which is there for it), and it is not retried.
type Honouring struct{ Composed }

// gone marks an error that the caller's context made.
type gone struct{ error }

func (g gone) Unwrap() error { return g.error }

func callerGone(err error) bool {
	_, ok := errors.AsType[gone](err)
	return ok
}

// Do runs work.
func (h *Honouring) Do(ctx context.Context, work Work) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return h.retry(ctx, func() (struct{}, error) {
		err := work(ctx)
		if err != nil && ctx.Err() != nil {
			return struct{}{}, gone{err}
		}
		return struct{}{}, err
	})
}

// GobreakerSettings are the defaults, but for what s asks.
func GobreakerSettings(s Settings) gobreaker.Settings {
	st := gobreaker.Settings{Name: "bench"}
	if s.Tolerant {
		st.ReadyToTrip = func(gobreaker.Counts) bool { return false }
	}
	if s.Open {
		st.Timeout = farOff
	}
	return st
}

// composed uses the default BackOff of backoff with another first delay, which is new for each call: it is state.
func composed(s Settings, st gobreaker.Settings) Composed {
	c := Composed{Breaker: gobreaker.NewCircuitBreaker[struct{}](st), delays: func() backoff.BackOff { return &backoff.ZeroBackOff{} }}
	if s.Delay > 0 {
		c.delays = func() backoff.BackOff {
			b := backoff.NewExponentialBackOff()
			b.InitialInterval, b.MaxInterval = s.Delay, s.maxDelay()
			return b
		}
	}
	if s.Open {
		for c.Breaker.State() != gobreaker.StateOpen {
			_, _ = c.Breaker.Execute(func() (struct{}, error) { return struct{}{}, errOpening })
		}
	}
	return c
}

// NewComposed returns backoff around gobreaker.
func NewComposed(s Settings) *Composed {
	c := composed(s, GobreakerSettings(s))
	return &c
}

func newComposed(_ context.Context, s Settings) (Guard, func() error, error) {
	return NewComposed(s), nothing, nil
}

func newHonouring(_ context.Context, s Settings) (Guard, func() error, error) {
	st := GobreakerSettings(s)
	st.IsExcluded = callerGone
	return &Honouring{composed(s, st)}, nothing, nil
}

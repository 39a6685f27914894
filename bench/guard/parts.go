package guard

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sethvargo/go-retry"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/perdure/perdure/perdureotel"
)

// Func is a guard that is one function.
type Func func(ctx context.Context, work Work) error

// Do calls f.
func (f Func) Do(ctx context.Context, work Work) error { return f(ctx, work) }

// of makes a candidate of a guard that needs no end.
func of(name string, g func(s Settings) Guard) Candidate {
	return Candidate{Name: name, New: func(_ context.Context, s Settings) (Guard, func() error, error) { return g(s), nothing, nil }}
}

// Retriers repeat, and have no breaker; the floor is the first, perdure the second.
func Retriers() []Candidate {
	retries := []Candidate{
		{Name: "perdure, breakers off", New: func(ctx context.Context, s Settings) (Guard, func() error, error) {
			s.NoBreaker = true
			return newPerdure(ctx, s)
		}},
		of("failsafe-go", func(s Settings) Guard { return &Failsafe{executor: failsafe.With(FailsafeRetry(s).Build())} }),
		of("backoff", func(s Settings) Guard {
			delays := composed(s, GobreakerSettings(s)).delays
			return Func(func(ctx context.Context, work Work) error {
				_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, work(ctx) },
					backoff.WithMaxTries(Attempts), backoff.WithBackOff(delays()))
				return err
			})
		}),
		{Name: "retry-go, context kept", New: newRetryContext},
		of("go-retry", newGoRetry),
		of("go-resiliency", func(s Settings) Guard {
			r := retrier.New(retrier.LimitedExponentialBackoff(Attempts-1, s.Delay, s.maxDelay()), nil)
			return Func(func(ctx context.Context, work Work) error { return r.RunCtx(ctx, work) })
		}),
	}
	for i := range retries {
		retries[i].Retries = true
	}
	return append([]Candidate{{Name: "bare call", New: newBare}}, retries...)
}

// newGoRetry is sethvargo/go-retry 0.5.0 as its README has it: a backoff for each call, since it is used up by one, and
// errors that are marked as worth a retry.
func newGoRetry(s Settings) Guard {
	return Func(func(ctx context.Context, work Work) error {
		b := retry.BackoffFunc(func() (time.Duration, bool) { return 0, false })
		if s.Delay > 0 {
			b = retry.WithCappedDuration(s.maxDelay(), retry.NewExponential(s.Delay)).Next
		}
		return retry.Do(ctx, retry.WithMaxRetries(Attempts-1, b), func(ctx context.Context) error { return retry.RetryableError(work(ctx)) })
	})
}

// Breakers refuse, and do not repeat. That of go-resiliency is not among them: each time it opens it leaves a goroutine
// asleep until it may close again. The floor is the first, perdure the second.
func Breakers() []Candidate {
	breakers := []Candidate{
		{Name: "perdure, one attempt", New: func(ctx context.Context, s Settings) (Guard, func() error, error) {
			s.Once = true
			return newPerdure(ctx, s)
		}},
		of("failsafe-go", func(s Settings) Guard {
			b := FailsafeBreaker(s)
			return &Failsafe{Breaker: b, executor: failsafe.With(b)}
		}),
		of("gobreaker", func(s Settings) Guard {
			b := composed(s, GobreakerSettings(s)).Breaker
			return Func(func(ctx context.Context, work Work) error {
				_, err := b.Execute(func() (struct{}, error) { return struct{}{}, work(ctx) })
				return err
			})
		}),
	}
	for i := range breakers {
		breakers[i].HasBreaker = true
	}
	return append([]Candidate{{Name: "bare call", New: newBare}}, breakers...)
}

// attemptLimit is longer than anything that is measured takes.
const attemptLimit = time.Minute

// Limited repeat, refuse, and bound each attempt by a context of its own; the floor is the first, perdure the second.
func Limited() []Candidate {
	limited := []Candidate{
		{Name: "perdure", New: func(ctx context.Context, s Settings) (Guard, func() error, error) {
			s.Limit = attemptLimit
			return newPerdure(ctx, s)
		}},
		{Name: "failsafe-go", New: func(_ context.Context, s Settings) (Guard, func() error, error) {
			e := failsafe.With(FailsafeRetry(s).Build(), FailsafeBreaker(s), timeout.New[any](attemptLimit))
			return Func(func(ctx context.Context, work Work) error {
				return e.WithContext(ctx).RunWithExecution(func(x failsafe.Execution[any]) error { return work(x.Context()) }) //nolint:contextcheck // it is the execution's
			}), nothing, nil
		}},
		of("backoff + gobreaker", func(s Settings) Guard {
			c := NewComposed(s)
			return Func(func(ctx context.Context, work Work) error {
				return c.retry(ctx, func() (struct{}, error) {
					ctx, cancel := context.WithTimeout(ctx, attemptLimit)
					defer cancel()
					return struct{}{}, work(ctx)
				})
			})
		}),
	}
	for i := range limited {
		limited[i].HasBreaker, limited[i].Retries = true, true
	}
	return append([]Candidate{{Name: "bare call", New: newBare}}, limited...)
}

func newBare(context.Context, Settings) (Guard, func() error, error) { return Bare{}, nothing, nil }

// newObserved attaches OpenTelemetry metrics, which are collected by a reader that nothing asks while it is measured.
func newObserved(ctx context.Context, s Settings) (Guard, func() error, error) {
	g, closed, err := newPerdure(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	mp := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	stop, err := perdureotel.Instrument(g.(*Perdure).Manager, perdureotel.Config{MeterProvider: mp}) //nolint:contextcheck // hooks have the calls' contexts
	if err != nil {
		return nil, nil, err
	}
	return g, func() error {
		stop()
		return closed()
	}, nil
}

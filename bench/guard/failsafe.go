package guard

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// Failsafe is failsafe-go 0.9.8: a retry policy composed around a circuit
// breaker, in the order that the documentation of failsafe.With shows, with the
// executor made once and given each caller's context by WithContext.
type Failsafe struct {
	// Breaker is nil if there is none.
	Breaker  circuitbreaker.CircuitBreaker[any]
	executor failsafe.Executor[any]
}

// Do runs work under the policies.
func (f *Failsafe) Do(ctx context.Context, work Work) error {
	return f.executor.WithContext(ctx).Run(func() error { return work(ctx) })
}

// FailsafeRetry returns a retry policy: three attempts (the default), backoff with jitter, no retry of
// "breaker open" nor after the caller's cancel, and the last error instead of ExceededError.
// Sources: the comments on retrypolicy.Builder; https://failsafe-go.dev/retry.
func FailsafeRetry(s Settings) retrypolicy.Builder[any] {
	b := retrypolicy.NewBuilder[any]().
		WithMaxAttempts(Attempts).
		AbortOnErrors(circuitbreaker.ErrOpen, context.Canceled).
		ReturnLastFailure()
	if s.Delay > 0 {
		b = b.WithBackoff(s.Delay, s.maxDelay()).WithJitterFactor(.5)
	}
	return b
}

// The figures of the first example on https://failsafe-go.dev/circuit-breaker.
const (
	failsafeFailures  = 5
	failsafeSuccesses = 2
	failsafeDelay     = time.Minute
)

// FailsafeBreaker returns the breaker of that example: open after five failures in a row, half-open after a minute, closed
// after two successes. The caller's own cancel is no failure.
func FailsafeBreaker(s Settings) circuitbreaker.CircuitBreaker[any] {
	delay := failsafeDelay
	if s.Open {
		delay = farOff
	}
	b := circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return err != nil && !s.Tolerant && !errors.Is(err, context.Canceled) }).
		WithFailureThreshold(failsafeFailures).
		WithSuccessThreshold(failsafeSuccesses).
		WithDelay(delay).
		Build()
	if s.Open {
		b.Open()
	}
	return b
}

func newFailsafe(_ context.Context, s Settings) (Guard, func() error, error) {
	b := FailsafeBreaker(s)
	return &Failsafe{Breaker: b, executor: failsafe.With(FailsafeRetry(s).Build(), b)}, nothing, nil
}

// NewFailsafeBudget returns retries under a budget with its defaults: at most a fifth of the executions
// in flight are retries, but three always may be. Source: the comment on budget.New.
func NewFailsafeBudget(s Settings, withBreaker bool) *Failsafe {
	retry := FailsafeRetry(s).WithBudget(budget.New()).Build()
	if !withBreaker {
		return &Failsafe{executor: failsafe.With(retry)}
	}
	b := FailsafeBreaker(s)
	return &Failsafe{Breaker: b, executor: failsafe.With(retry, b)}
}

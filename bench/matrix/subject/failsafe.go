package subject

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
)

// guardedPgx is pgx under a guard that repeats: each attempt is a call of plainPgx.
type guardedPgx struct {
	*plainPgx

	do func(ctx context.Context, attempt func(context.Context) error) error
}

func (g *guardedPgx) InTx(ctx context.Context, serializable bool, work func(context.Context, Tx) error) error {
	return g.do(ctx, func(ctx context.Context) error { return g.plainPgx.InTx(ctx, serializable, work) })
}

func (g *guardedPgx) Exec(ctx context.Context, sql string, args ...any) error {
	return g.do(ctx, func(ctx context.Context) error { return g.plainPgx.Exec(ctx, sql, args...) })
}

func (g *guardedPgx) Int(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = g.do(ctx, func(ctx context.Context) (err error) {
		n, err = g.plainPgx.Int(ctx, sql, args...)
		return err
	})
	return n, err
}

// The thresholds of the first example on https://failsafe-go.dev/circuit-breaker. That a breaker stays open for five seconds
// is kinder to a database that comes back than the minute of that example and of gobreaker's default. The delays are perdure's own.
const (
	failsafeFailures  = 5
	failsafeSuccesses = 2
	openFor           = 5 * time.Second
	firstDelay        = 50 * time.Millisecond
	lastDelay         = 20 * time.Second
)

// openFailsafe is failsafe-go 0.9.8: a retry policy around a circuit breaker around a timeout, in the order of
// https://failsafe-go.dev/policies, "Policy Composition". The retries handle the errors that transient lists, as the
// page on retries advises ("Handling Failures"), and are given up when the breaker is open; the breaker counts those errors and
// timeouts, and not what a statement did wrong.
func openFailsafe(ctx context.Context, s Settings) (Subject, error) {
	plain, err := newPlainPgx(ctx, s)
	if err != nil {
		return nil, err
	}
	retry := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return err != nil && transient(err) }).
		AbortOnErrors(circuitbreaker.ErrOpen, context.Canceled).
		WithMaxAttempts(Attempts).
		WithBackoff(firstDelay, lastDelay).WithJitterFactor(.5).
		ReturnLastFailure().
		Build()
	breaker := circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return counts(err) }).
		WithFailureThreshold(failsafeFailures).
		WithSuccessThreshold(failsafeSuccesses).
		WithDelay(openFor).
		Build()
	executor := failsafe.With[any](retry, breaker, timeout.New[any](AttemptTimeout))
	return &guardedPgx{plain, func(ctx context.Context, attempt func(context.Context) error) error {
		return executor.WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) error { return attempt(e.Context()) }) //nolint:contextcheck // it is the caller's, by way of failsafe
	}}, nil
}

// counts reports whether an error is one for a breaker: trouble with the server, and not with the statement or the caller.
func counts(err error) bool {
	return err != nil && !errors.Is(err, context.Canceled) && (transient(err) || !isAnswer(err))
}

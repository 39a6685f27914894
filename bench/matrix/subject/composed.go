package subject

import (
	"context"
	"errors"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sony/gobreaker/v2"
)

// isAnswer reports whether the server answered.
func isAnswer(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}

// openComposed is cenkalti/backoff 5.0.3 around sony/gobreaker 2.4.0: backoff.Retry as in its ExampleRetry, with
// backoff.Permanent for what transient does not list and for an open breaker; gobreaker with its default settings (open after more than five
// failures in a row; the comment on gobreaker.Settings), half-open after five seconds instead of sixty, and IsSuccessful for what is no failure of the server.
func openComposed(ctx context.Context, s Settings) (Subject, error) {
	plain, err := newPlainPgx(ctx, s)
	if err != nil {
		return nil, err
	}
	breaker := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "database",
		Timeout:      openFor,
		IsSuccessful: func(err error) bool { return !counts(err) },
	})
	return &guardedPgx{plain, func(ctx context.Context, attempt func(context.Context) error) error {
		delays := backoff.NewExponentialBackOff()
		delays.InitialInterval, delays.MaxInterval = firstDelay, lastDelay
		_, err := backoff.Retry(ctx, func() (struct{}, error) {
			v, err := breaker.Execute(func() (struct{}, error) { return struct{}{}, attempt(ctx) })
			if err != nil && !transient(err) {
				return v, backoff.Permanent(err)
			}
			return v, err
		}, backoff.WithMaxTries(Attempts), backoff.WithBackOff(delays))
		return err
	}}, nil
}

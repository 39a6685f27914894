package migrating_test

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/sony/gobreaker/v2"
)

// composedShop adds orders under cenkalti/backoff around sony/gobreaker.
type composedShop struct {
	pool    *pgxpool.Pool
	breaker *gobreaker.CircuitBreaker[struct{}]
}

func newComposedShop(pool *pgxpool.Pool) *composedShop {
	return &composedShop{pool, gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "shop",
		MaxRequests:  3,
		Interval:     10 * time.Second,
		BucketPeriod: time.Second,
		Timeout:      5 * time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= 20 && float64(c.TotalFailures) >= .5*float64(c.Requests)
		},
		IsSuccessful: func(err error) bool { return !transient(err) },
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Printf("breaker %s: %s, then %s", name, from, to)
		},
	})}
}

func (s *composedShop) add(ctx context.Context, owner string) error {
	delays := backoff.NewExponentialBackOff() // it holds state: one for each call
	delays.InitialInterval, delays.MaxInterval = 50*time.Millisecond, 2*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		none, err := s.breaker.Execute(func() (struct{}, error) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return struct{}{}, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "insert into orders (owner) values ($1)", owner)
				return err
			})
		})
		if err != nil && !transient(err) { // a breaker that is open, too
			return none, backoff.Permanent(err)
		}
		return none, err
	}, backoff.WithBackOff(delays), backoff.WithMaxTries(5), backoff.WithMaxElapsedTime(time.Minute))
	return err
}

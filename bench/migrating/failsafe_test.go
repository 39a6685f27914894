package migrating_test

import (
	"context"
	"log"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// failsafeShop adds orders under failsafe-go.
type failsafeShop struct {
	pool     *pgxpool.Pool
	executor failsafe.Executor[any]
}

func newFailsafeShop(pool *pgxpool.Pool) *failsafeShop {
	retry := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return transient(err) }).
		WithMaxAttempts(5).
		WithBackoff(50*time.Millisecond, 2*time.Second).
		WithJitterFactor(.25).
		WithMaxDuration(time.Minute).
		WithBudget(budget.New()).
		ReturnLastFailure().
		Build()
	breaker := circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return transient(err) }).
		WithFailureRateThreshold(.5, 20, 10*time.Second).
		WithDelay(5 * time.Second).
		WithSuccessThreshold(3).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { log.Printf("breaker: %s, then %s", e.OldState, e.NewState) }).
		Build()
	limit := timeout.New[any](10 * time.Second)
	return &failsafeShop{pool, failsafe.With[any](retry, breaker, limit)}
}

//nolint:contextcheck // an Execution has its context
func (s *failsafeShop) add(ctx context.Context, owner string) error {
	return s.executor.WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) error {
		return pgx.BeginFunc(e.Context(), s.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(e.Context(), "insert into orders (owner) values ($1)", owner)
			return err
		})
	})
}

package perdurepgx_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/perdurepgx"
)

// TestOverloadEndsWithItsCause: in a line that is as long as the timeout, nobody
// sends a statement that cannot end in time. A pool that serves first come,
// first served would give its one connection to those alone.
func TestOverloadEndsWithItsCause(t *testing.T) {
	t.Parallel()
	const timeout, takes, calls = 2 * time.Second, 200 * time.Millisecond, 60
	b := openAt(t, server.Database(t), "", perdure.Config{}, perdurepgx.Config{}, func(c *pgxpool.Config) { c.MaxConns = 1 })
	op := perdure.Op{Name: "overload.sleep", ReadOnly: true, Policy: &perdure.Policy{
		AttemptTimeout: timeout, MaxAttempts: 1, Breaker: breaker.Config{Rule: breaker.Off},
	}}
	sleep := func() error {
		_, err := b.Exec(perdure.WithOp(t.Context(), op), "select pg_sleep($1)", takes.Seconds())
		return err
	}
	for range 5 { // how long it takes is known then
		if err := sleep(); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var done, late, full, cut int
	for range calls {
		wg.Go(func() {
			err := sleep()
			var exhausted *perdurepgx.PoolExhaustedError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case errors.As(err, &exhausted) && !errors.Is(err, context.DeadlineExceeded):
				late++
			case errors.As(err, &exhausted):
				full++
			default:
				cut++
				t.Logf("cut short: %v", err)
			}
		})
	}
	wg.Wait()
	// Of the sixty, the first ten or so have time; the others leave when it is too late for them, all at once. None of
	// them costs the server anything, but perhaps the one for which it is just too late.
	if done == 0 || late == 0 || done+late+full+cut != calls {
		t.Errorf("%d done, %d left the line, %d ran out of time in it; want some of the first two", done, late, full)
	}
	if cut > 5 {
		t.Errorf("%d statements were sent that could not end in time", cut)
	}
	t.Logf("%d done, %d left the line, %d ran out of time in it, %d were cut short", done, late, full, cut)
}

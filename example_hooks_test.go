package perdure_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

func ExampleHooks() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{Hooks: perdure.Hooks{
		CallEnd: func(_ context.Context, e perdure.CallEvent) {
			fmt.Println(e.Op, "attempts:", e.Attempts, "error:", e.Err, "id:", e.CorrelationID)
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	_ = m.Do(perdure.WithCorrelationID(ctx, "request-7"), refresh, func(context.Context) error { return nil })
	// Output: stats.refresh attempts: 1 error: <nil> id: request-7
}

// A person holds the database's breaker open during maintenance; calls fail at
// once, or wait if their policy parks, until it is released.
func ExampleManager_Breaker() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	m.Breaker("database").HoldOpen("upgrade to 18")
	err = m.Do(ctx, refresh, func(context.Context) error { return nil })
	fmt.Println(errors.Is(err, perdure.ErrBreakerOpen), m.Breaker("database").State() == breaker.Open)
	// Output: true true
}

package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/health"
	"github.com/perdure/perdure/redact"
)

// A program stays ready while its database is away: the breaker warns, what
// depends on the database is unknown, and only what fails by itself counts.
func ExampleBreaker() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	h, err := health.New(ctx, health.Config{
		ErrorText: redact.Error,
		Checks: []health.Check{
			health.Breaker("database", func() health.BreakerState {
				s := m.Breaker("database").Snapshot()
				return health.BreakerState{State: s.State.String(), Held: s.Held != breaker.NotHeld}
			}),
			{Name: "migrations", After: []string{"database"}, Run: func(context.Context) error { return nil }},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close(ctx)
	ask := func() {
		w := httptest.NewRecorder()
		h.Ready().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz?verbose", nil))
		fmt.Print(w.Code, "\n", w.Body)
	}
	ask()
	m.Breaker("database").HoldOpen("maintenance")
	ask()
	// Output:
	// 200
	// [+]database ok
	// [+]migrations ok
	// readyz check passed
	// 200
	// [!]database warns: the circuit breaker is held open by a person
	// [?]migrations unknown because database is down
	// readyz check passed
}

// On SIGTERM: not ready first, then drain, then end.
func ExampleHealth_SetDraining() {
	ctx := context.Background()
	h, err := health.New(ctx, health.Config{Checks: []health.Check{
		{Name: "model", Optional: true, Run: func(context.Context) error { return errors.New("not trained yet") }},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close(ctx)
	ask := func() {
		w := httptest.NewRecorder()
		h.Ready().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	ask()
	h.SetDraining(true)
	ask()
	// Output:
	// 200 ok
	// 503 [-]draining failed: the program is about to end
	// readyz check failed
}

package component_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/health"
)

func TestTheRetryManagerIsAComponent(t *testing.T) {
	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	refresh := perdure.Op{Name: "stats.refresh", Idempotent: true}
	l := load(t, component.Config{Manager: m, Factories: []component.Factory{
		component.Retry(m),
		{Name: "stats", Needs: []string{"retry"}, Maker: component.Make(
			func(_ context.Context, deps component.Deps, _ struct{}) (*perdure.Manager, error) {
				return component.Get[*perdure.Manager](deps, "retry")
			},
		), Methods: []component.Callable{
			component.MethodOf("refresh", func(m *perdure.Manager, ctx context.Context, failures int) (int, error) {
				n := 0
				return n, m.Do(ctx, refresh, func(context.Context) error {
					if n++; n <= failures {
						return perdure.Transient(errors.New("not yet"))
					}
					return nil
				})
			}),
		}},
	}})
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	invoke := func(component, method, in string) map[string]any {
		t.Helper()
		raw, err := l.Invoke(t.Context(), component, method, json.RawMessage(in))
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]any
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := l.Invoke(t.Context(), "stats", "refresh", json.RawMessage("1")); err != nil {
		t.Fatal(err)
	}
	ops, _ := invoke("retry", "operations", "")["operations"].([]any)
	if op, _ := ops[0].(map[string]any); op["name"] != "stats.refresh" || op["recovered"] != 1.0 || fmt.Sprint(op["retries"]) != "map[2:1]" {
		t.Errorf("operations = %v", ops)
	}
	if got := invoke("retry", "metrics", "{}"); got["manager"] != "warehouse" || got["parked"] != 0.0 {
		t.Errorf("metrics = %v", got)
	}

	held := invoke("retry", "hold-open", `{"operation": "stats.refresh", "reason": "maintenance"}`)
	if held["state"] != "open" || held["held"] != "open" || held["reason"] != "maintenance" || m.Breaker("stats.refresh").State() != breaker.Open {
		t.Errorf("hold-open = %v", held)
	}
	if _, err := l.Invoke(t.Context(), "stats", "refresh", json.RawMessage("0")); !errors.Is(err, perdure.ErrBreakerOpen) {
		t.Errorf("while it is held open: %v", err)
	}
	if got := invoke("retry", "breakers", ""); len(got["breakers"].([]any)) != 2 {
		t.Errorf("breakers = %v", got)
	}
	if got := invoke("retry", "hold-closed", `{"operation": "stats.refresh", "reason": "go on"}`); got["state"] != "closed" || got["held"] != "closed" {
		t.Errorf("hold-closed = %v", got)
	}
	if got := invoke("retry", "release", `{"operation": "stats.refresh"}`); got["held"] != nil {
		t.Errorf("release = %v", got)
	}
	if _, err := l.Invoke(t.Context(), "stats", "refresh", json.RawMessage("0")); err != nil {
		t.Error(err)
	}
	_, err = l.Invoke(t.Context(), "retry", "release", json.RawMessage(`{"operation": "stats.refres"}`))
	wantReason(t, err, component.ReasonFailed, `retry.release: there is no breaker "stats.refres"; did you mean "stats.refresh"?`)

	m.Breaker("database").HoldOpen("maintenance")
	h, err := health.New(t.Context(), health.Config{Checks: l.Checks()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	status, results := h.Check(t.Context())
	if status != health.Warned || results[0].Status != health.Warned || results[1].Because != "retry" {
		t.Errorf("with the database's breaker open: %v, %+v", status, results)
	}
}

package perdure_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

// A query that always runs into its timeout opens its own breaker, and harms
// neither another operation nor the database's.
func TestTroubleOfOneOperationHarmsNoOther(t *testing.T) {
	m := newManager(t, perdure.Config{Policy: perdure.Policy{
		MaxAttempts: 1, Breaker: breaker.Config{OpenFor: time.Hour, MaxOpenFor: time.Hour},
	}})
	bad := perdure.Op{Name: "report.bad", ReadOnly: true}
	good := perdure.Op{Name: "orders.list", ReadOnly: true}
	for range 20 {
		_ = m.Do(t.Context(), bad, func(context.Context) error { return sqlError("57014") })
		if err := m.Do(t.Context(), good, succeed); err != nil {
			t.Fatalf("the other operation = %v", err)
		}
	}
	if err := m.Do(t.Context(), bad, succeed); !errors.Is(err, perdure.ErrBreakerOpen) {
		t.Errorf("the operation whose calls time out = %v, want %v", err, perdure.ErrBreakerOpen)
	}
	for name, want := range map[string]breaker.State{bad.Name: breaker.Open, good.Name: breaker.Closed, "database": breaker.Closed} {
		if got := m.Breaker(name).State(); got != want {
			t.Errorf("the breaker of %s is %v, want %v", name, got, want)
		}
	}
}

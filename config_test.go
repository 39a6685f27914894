package perdure_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

func TestNewReportsEveryFaultWithItsPath(t *testing.T) {
	_, err := perdure.New(perdure.Config{
		Name:     "bad name",
		Policy:   perdure.Policy{Backoff: backoff.Config{Max: 10 * time.Millisecond}, Breaker: breaker.Config{Rule: "sometimes"}},
		Database: breaker.Config{FailureRate: 2},
		Budget:   perdure.BudgetConfig{Ratio: math.NaN(), Floor: math.Inf(1)},
		Policies: map[string]perdure.Policy{
			"a.*":  {Overload: backoff.Config{Jitter: "much"}},
			"b*":   {},
			"*":    {},
			"c.*x": {},
			"d e":  {},
			"":     {},
		},
		MaxOperations: -1,
	})
	if err == nil {
		t.Fatal("New() = nil error")
	}
	for _, want := range []string{
		`name: operation name "bad name": byte 3`,
		"policy.backoff.max: 10ms is less than initial 50ms",
		`policy.breaker.rule: "sometimes"`,
		"database.failure_rate: 2",
		"budget.ratio: NaN",
		"budget.floor: +Inf",
		`policies["a.*"].overload.jitter: "much"`,
		`policies["b*"]: only a trailing .* is a pattern`,
		`policies["*"]: a policy for every operation is config.policy`,
		`policies["c.*x"]: only a trailing .* is a pattern`,
		`policies["d e"]: operation name "d e": byte 1`,
		`policies[""]: operation name is empty`,
		"max_operations: -1 is negative",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New() does not say %q; it says:\n%v", want, err)
		}
	}
}

func TestTheZeroConfigIsValid(t *testing.T) {
	m := newManager(t, perdure.Config{})
	if m.Name() != "default" {
		t.Errorf("Name() = %q, want default", m.Name())
	}
}

// TestPoliciesAreLaidOverEachOther looks at how often an operation is begun,
// which each layer sets for another name.
func TestPoliciesAreLaidOverEachOther(t *testing.T) {
	attempts := func(n int) perdure.Policy { return perdure.Policy{MaxAttempts: n} }
	own := attempts(7)
	cfg := perdure.Config{
		Policy: perdure.Policy{MaxAttempts: 2, Contention: noDelay},
		Policies: map[string]perdure.Policy{
			"a.*":   attempts(3),
			"a.b.*": attempts(4),
			"a.b.c": attempts(5),
			"p.*":   {Park: time.Hour}, // sets another field: the attempts come from below
		},
	}
	for _, tt := range []struct {
		op   perdure.Op
		want int
	}{
		{perdure.Op{Name: "z"}, 2},
		{perdure.Op{Name: "a.x"}, 3},
		{perdure.Op{Name: "a.b.x"}, 4},
		{perdure.Op{Name: "a.b.c"}, 5},
		{perdure.Op{Name: "ax"}, 2},
		{perdure.Op{Name: "p.x"}, 2},
		{perdure.Op{Name: "a.b.c", Policy: &own}, 7},
	} {
		t.Run(tt.op.Name, func(t *testing.T) {
			bubble(t, cfg, func(t managed) {
				m := t.m
				n := 0
				tt.op.Idempotent = true
				_ = m.Do(t.Context(), tt.op, func(context.Context) error { n++; return sqlError("40001") })
				if n != tt.want {
					t.Errorf("%s was begun %d times, want %d", tt.op.Name, n, tt.want)
				}
			})
		})
	}
}

func TestNewKeepsNothingOfTheCallersConfig(t *testing.T) {
	cfg := perdure.Config{
		Policies: map[string]perdure.Policy{"x": {MaxAttempts: 2, Contention: noDelay, RetryOn: []pgerr.Category{pgerr.CategoryTransient}}},
	}
	m := newManager(t, cfg)
	cfg.Policies["x"].RetryOn[0] = pgerr.CategoryData
	delete(cfg.Policies, "x")
	n := 0
	_ = m.Do(t.Context(), perdure.Op{Name: "x", Idempotent: true}, func(context.Context) error { n++; return sqlError("40001") })
	if n != 2 {
		t.Errorf("the operation was begun %d times, want 2 as configured at New", n)
	}
}

func TestRetryOnFiltersCategories(t *testing.T) {
	op := perdure.Op{Name: "filter", Idempotent: true, Policy: &perdure.Policy{
		RetryOn: []pgerr.Category{pgerr.CategoryLock}, Contention: noDelay, Breaker: breaker.Config{Rule: breaker.Off},
	}}
	m := newManager(t, perdure.Config{})
	for state, want := range map[sqlError]int{"40001": 1, "55P03": 10} {
		n := 0
		_ = m.Do(t.Context(), op, func(context.Context) error { n++; return state })
		if n != want {
			t.Errorf("after %s the operation was begun %d times, want %d", string(state), n, want)
		}
	}
}

// TestManyPoliciesOfOneOperation: a program that makes a policy for each call
// gets what it asks for, and the Manager does not grow.
func TestManyPoliciesOfOneOperation(t *testing.T) {
	m := newManager(t, perdure.Config{Policy: perdure.Policy{Contention: noDelay}})
	var got, want []int
	for i := range 100 {
		n := 0
		op := perdure.Op{Name: "many", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 1 + i%5}}
		_ = m.Do(t.Context(), op, func(context.Context) error { n++; return sqlError("40001") })
		got, want = append(got, n), append(want, 1+i%5)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

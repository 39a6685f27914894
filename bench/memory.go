package bench

import (
	"context"
	"fmt"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/guard"
	"github.com/perdure/perdure/bench/measure"
)

// Memory measures what n operations keep, each after one call: perdure's with
// breaker, counters and histogram, the peers' breakers in a map by name, as
// one who wants a breaker for each operation has to write it.
func Memory(ctx context.Context, n int) (figure.Section, error) {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("memory.op-%d", i)
	}
	succeed := func(context.Context) error { return nil }
	conflict := error(ConflictError{})
	fail := func(context.Context) error { return conflict }
	manager := func(work guard.Work) func() (any, error) {
		return func() (any, error) {
			m, err := perdure.New(perdure.Config{MaxOperations: n})
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				_ = m.Do(ctx, perdure.Op{Name: name}, work)
			}
			if got := len(m.Snapshot().Operations); got != n {
				return nil, fmt.Errorf("the Manager keeps %d operations, want %d", got, n)
			}
			return m, nil
		}
	}
	rows := []struct {
		name, keeps string
		build       func() (any, error)
	}{
		{"perdure", "breaker, counters, histogram", manager(succeed)},
		{"perdure, each has failed", "the same, and counters of errors, three more histograms", manager(fail)},
		{"gobreaker", "breaker", func() (any, error) {
			kept := make(map[string]*gobreaker.CircuitBreaker[struct{}], n)
			for _, name := range names {
				st := guard.GobreakerSettings(guard.Settings{})
				st.Name = name
				b := gobreaker.NewCircuitBreaker[struct{}](st)
				if _, err := b.Execute(func() (struct{}, error) { return struct{}{}, nil }); err != nil {
					return nil, err
				}
				kept[name] = b
			}
			return kept, nil
		}},
		{"failsafe-go", "breaker", func() (any, error) {
			kept := make(map[string]circuitbreaker.CircuitBreaker[any], n)
			for _, name := range names {
				b := guard.FailsafeBreaker(guard.Settings{})
				b.RecordSuccess()
				kept[name] = b
			}
			return kept, nil
		}},
	}
	t := &figure.Table{Head: []string{"guard", "keeps", "B an operation", "MiB in all"}}
	for _, r := range rows {
		bytes, err := measure.Memory(n, r.build)
		if err != nil {
			return figure.Section{}, fmt.Errorf("%s: %w", r.name, err)
		}
		t.Add(r.name, r.keeps, figure.Number(bytes), fmt.Sprintf("%.0f", bytes*float64(n)/(1<<20)))
	}
	return figure.Section{Title: fmt.Sprintf("Memory of %s operations", figure.Number(float64(n))), Table: t}, nil
}

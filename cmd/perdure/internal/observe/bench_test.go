package observe_test

import (
	"context"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// hooked is a Manager that is watched.
func hooked(b *testing.B) *perdure.Manager {
	b.Helper()
	m := manager(b, "bench")
	if _, err := observe.New(observe.Config{Sources: []observe.Source{{Manager: m}}}); err != nil {
		b.Fatal(err)
	}
	return m
}

// BenchmarkSuccess compares a call that succeeds at once without and with an
// Observer.
func BenchmarkSuccess(b *testing.B) {
	for name, m := range map[string]*perdure.Manager{"bare": manager(b, "bare"), "observed": hooked(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Do(b.Context(), load, succeed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOutcome is the hook of a commit, which does what every hook of the
// Observer does: it must cost less than 300 ns. The rest is the Manager's own.
func BenchmarkOutcome(b *testing.B) {
	e := perdure.OutcomeEvent{Op: "orders.claim", Resolution: perdure.Committed, Method: "marker", CorrelationID: "id"}
	for name, m := range map[string]*perdure.Manager{"bare": manager(b, "bare"), "observed": hooked(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.CommitOutcome(context.Background(), e)
			}
		})
	}
}

// BenchmarkRefused is a refusal by an open breaker, ten thousand of which a
// second are usual in an outage.
func BenchmarkRefused(b *testing.B) {
	ctx := perdure.WithCorrelationID(context.Background(), "id")
	for name, m := range map[string]*perdure.Manager{"bare": manager(b, "bare"), "observed": hooked(b)} {
		m.Breaker("database").HoldOpen("benchmark")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if m.Do(ctx, load, succeed) == nil {
					b.Fatal("passed")
				}
			}
		})
	}
}

// TestAHookAllocatesNothingForWhatItKnows: a storm costs no garbage.
func TestAHookAllocatesNothingForWhatItKnows(t *testing.T) {
	m := manager(t, "m")
	if _, err := observe.New(observe.Config{Sources: []observe.Source{{Manager: m}}}); err != nil {
		t.Fatal(err)
	}
	e := perdure.OutcomeEvent{Op: "orders.claim", Resolution: perdure.Committed, Method: "marker", CorrelationID: "id"}
	m.CommitOutcome(t.Context(), e)
	if n := testing.AllocsPerRun(1000, func() { m.CommitOutcome(t.Context(), e) }); n != 0 {
		t.Errorf("%v allocations for each commit, want none", n)
	}
}

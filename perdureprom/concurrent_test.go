package perdureprom_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/perdureprom"
)

// falling holds what counters were, and finds those that fell.
type falling map[string]float64

func (f falling) check(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	see := func(key string, v float64) {
		if v < f[key] {
			t.Errorf("%s fell from %v to %v", key, f[key], v)
		}
		f[key] = v
	}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			key := fmt.Sprint(name, m.GetLabel())
			switch {
			case m.GetCounter() != nil:
				see(key, m.GetCounter().GetValue())
			case m.GetHistogram() != nil:
				h := m.GetHistogram()
				see(key+" sum", h.GetSampleSum())
				see(key+" count", float64(h.GetSampleCount()))
				var last uint64
				for _, b := range h.GetBucket() {
					see(fmt.Sprint(key, " le ", b.GetUpperBound()), float64(b.GetCumulativeCount()))
					if b.GetCumulativeCount() < last {
						t.Errorf("%s: bucket %v holds less than the one below", key, b.GetUpperBound())
					}
					last = b.GetCumulativeCount()
				}
			}
		}
	}
}

// TestScrapesWhileCallsGoOn scrapes from two sides while calls of all kinds go
// on: the race detector looks for the rest.
func TestScrapesWhileCallsGoOn(t *testing.T) {
	none := backoff.Config{Func: func(int) time.Duration { return 0 }}
	m := newManager(t, perdure.Config{MaxOperations: 8, Policy: perdure.Policy{Backoff: none, Contention: none}})
	p := perdureprom.NewPipelines()
	r := registry(t, newCollector(t, m), p)
	var calls, scrapes sync.WaitGroup
	done := make(chan struct{})
	for worker := range 4 {
		calls.Go(func() {
			for i := range 3000 {
				op := perdure.Op{Name: fmt.Sprintf("op-%d", i%12), ReadOnly: true}
				n := 0
				_ = m.Do(t.Context(), op, func(context.Context) error {
					if n++; (i+n)%5 == 0 {
						return sqlError([]string{"40001", "57P01", "22P02", "57014"}[i%4])
					}
					return nil
				})
				switch i % 500 {
				case 100:
					m.Breaker("database").Trip("test")
				case 110:
					m.Breaker("database").HoldClosed("test")
				case 120:
					m.Breaker("database").Release()
				}
				m.CommitOutcome(t.Context(), perdure.OutcomeEvent{Resolution: perdure.Aborted, Method: "token"})
				p.StepEnded("flights", fmt.Sprintf("step-%d-%d", worker, i%5), "succeeded", 1)
			}
		})
	}
	for range 2 {
		scrapes.Go(func() {
			seen := falling{}
			for {
				seen.check(t, gather(t, r))
				select {
				case <-done:
					seen.check(t, gather(t, r))
					if len(seen) == 0 {
						t.Error("nothing was scraped")
					}
					return
				default:
				}
			}
		})
	}
	calls.Wait()
	close(done)
	scrapes.Wait()
	f := gather(t, r)
	var all float64
	for _, s := range f["database_operations_total"].GetMetric() {
		all += s.GetCounter().GetValue()
	}
	if all != 4*3000 {
		t.Errorf("%v calls ended, want 12000: each once", all)
	}
	if v := value(t, f, "database_commit_outcomes_total", "resolution", "aborted", "method", "token"); v != 12000 {
		t.Errorf("%v outcomes, want 12000", v)
	}
	if !strings.Contains(f["perdure_build_info"].GetMetric()[0].String(), "go1.") {
		t.Error("the build info has no Go version")
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

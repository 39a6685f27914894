package perdureprom_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perdure/perdure"
)

var benchOp = perdure.Op{Name: "bench.read", ReadOnly: true}

func benchDo(b *testing.B, m *perdure.Manager) {
	b.Helper()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Do(ctx, benchOp, succeed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDo compares a Manager that nobody looks at with one that is scraped
// ten times a second, 150 times as often as is usual: Prometheus must add at
// most 10 ns and no allocation to a call. (The allocations of the scrapes
// themselves are spread over the calls, and come to none.)
func BenchmarkDo(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchDo(b, newManager(b, perdure.Config{})) })
	b.Run("scraped", func(b *testing.B) {
		m := newManager(b, perdure.Config{})
		r := registry(b, newCollector(b, m))
		stop := make(chan struct{})
		var scrapes sync.WaitGroup
		scrapes.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := r.Gather(); err != nil {
					b.Error(err)
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		})
		benchDo(b, m)
		close(stop)
		scrapes.Wait()
	})
}

// BenchmarkScrape is one scrape of a Manager with a thousand operations.
func BenchmarkScrape(b *testing.B) {
	m := newManager(b, perdure.Config{})
	for i := range 1000 {
		if err := m.Do(b.Context(), perdure.Op{Name: fmt.Sprintf("op-%d", i)}, succeed); err != nil {
			b.Fatal(err)
		}
	}
	c := newCollector(b, m)
	b.Run("snapshot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(m.Snapshot().Operations) != 1000 {
				b.Fatal("not 1,000 operations")
			}
		}
	})
	b.Run("gather", func(b *testing.B) {
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		b.ReportAllocs()
		var series int
		for b.Loop() {
			families, err := r.Gather()
			if err != nil {
				b.Fatal(err)
			}
			series = 0
			for _, f := range families {
				series += len(f.GetMetric())
			}
		}
		b.ReportMetric(float64(series), "metrics")
	})
}

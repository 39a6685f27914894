package perdureotel_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
)

var benchOp = perdure.Op{Name: "bench.read", ReadOnly: true}

func succeed(context.Context) error { return nil }

// BenchmarkDo measures a first-try success bare and with each signal, so that
// one run shows what a signal adds. The bar for metrics is 150 ns.
func BenchmarkDo(b *testing.B) {
	batched := trace.NewTracerProvider(trace.WithBatcher(discard{}))
	b.Cleanup(func() { _ = batched.Shutdown(context.WithoutCancel(b.Context())) })
	for _, bm := range []struct {
		name string
		cfg  perdureotel.Config
	}{
		{name: "bare"},
		{name: "metrics", cfg: perdureotel.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))}},
		{name: "spans-unsampled", cfg: perdureotel.Config{TracerProvider: trace.NewTracerProvider(trace.WithSampler(trace.NeverSample()))}},
		{name: "spans", cfg: perdureotel.Config{TracerProvider: batched}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			m, err := perdure.New(perdure.Config{})
			if err != nil {
				b.Fatal(err)
			}
			if bm.name != "bare" {
				stop, err := perdureotel.Instrument(m, bm.cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer stop()
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Do(ctx, benchOp, succeed); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
		})
	}
}

// BenchmarkCollect measures a collection after 10,000 calls: what a call that
// succeeded at once costs, later and on another goroutine.
func BenchmarkCollect(b *testing.B) {
	reader := metric.NewManualReader()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		b.Fatal(err)
	}
	stop, err := perdureotel.Instrument(m, perdureotel.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	const calls = 10_000
	for b.Loop() {
		b.StopTimer()
		for range calls {
			if err := m.Do(b.Context(), benchOp, succeed); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		collect(b, reader)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
}

// discard is an exporter that keeps nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []trace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                          { return nil }

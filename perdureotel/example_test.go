package perdureotel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurelog"
	"github.com/perdure/perdure/perdureotel"
)

// Metrics and spans of a Manager. A program gives its exporters; here they
// keep what they get.
func Example() {
	ctx := context.Background()
	spans, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	tp := trace.NewTracerProvider(trace.WithSyncer(spans))
	mp := metric.NewMeterProvider(metric.WithReader(reader))

	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	stop, err := perdureotel.Instrument(m, perdureotel.Config{TracerProvider: tp, MeterProvider: mp})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	refresh := perdure.Op{Name: "stats.refresh", Idempotent: true}
	attempt := 0
	err = m.Do(ctx, refresh, func(context.Context) error {
		if attempt++; attempt == 1 {
			return perdure.Transient(errors.New("not yet"))
		}
		return nil
	})
	fmt.Println("error:", err)
	for _, span := range spans.GetSpans() {
		fmt.Println("span:", span.Name)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		fmt.Println(err)
	}
	for _, one := range all.ScopeMetrics[0].Metrics {
		if data, ok := one.Data.(metricdata.Histogram[float64]); ok && one.Name == "db.client.operation.duration" {
			fmt.Println("calls:", data.DataPoints[0].Count)
		}
	}
	// Output:
	// error: <nil>
	// span: stats.refresh attempt
	// span: stats.refresh
	// calls: 1
}

// Log lines with the trace that they belong to.
func ExampleIDs() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "elapsed", "took", "retry_at": // not the same each time
				return slog.Attr{}
			}
			return a
		},
	}))
	m, err := perdure.New(perdure.Config{
		Hooks: perdurelog.Hooks(logger, perdurelog.Config{Manager: "warehouse", Trace: perdureotel.IDs}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := perdure.WithCorrelationID(context.Background(), "request-7")
	defer m.Close(ctx)
	m.Breaker("database").HoldOpen("upgrade to 18")
	_ = m.Do(ctx, perdure.Op{Name: "orders.claim"}, func(context.Context) error { return nil })
	// Output:
	// level=WARN msg="circuit breaker opened" manager=warehouse operation=database from=closed to=open why="upgrade to 18" held=open
	// level=WARN msg="call refused" manager=warehouse operation=orders.claim correlation_id=request-7 reason=breaker_open attempts=0 parked=0s category=unknown severity=low error="circuit breaker open" hint="the breaker of database is held open: release it"
}

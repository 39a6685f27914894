package otelcollector_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
)

// guard is the set-up of a program that exports by OTLP.
func guard(ctx context.Context) (err error) {
	spans, err := otlptracehttp.New(ctx) // OTEL_EXPORTER_OTLP_ENDPOINT says where to
	if err != nil {
		return err
	}
	exporter, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return err
	}
	tp := trace.NewTracerProvider(trace.WithBatcher(spans))
	mp := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() { err = errors.Join(err, tp.Shutdown(ctx), mp.Shutdown(ctx)) }()
	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		return err
	}
	defer m.Close(ctx)
	//nolint:contextcheck // hooks have no context: what they tell of is over
	stop, err := perdureotel.Instrument(m, perdureotel.Config{
		MeterProvider: mp, TracerProvider: tp, ServerAddress: "db.example", ServerPort: 5432, Namespace: "shop",
	})
	if err != nil {
		return err
	}
	defer stop() // after the work, before the providers shut down
	return m.Do(ctx, perdure.Op{Name: "orders.list"}, func(context.Context) error { return nil })
}

func Example() {
	var mu sync.Mutex
	seen := map[string]bool{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path] = true
	}))
	defer collector.Close()
	if err := os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL); err != nil {
		fmt.Println(err)
		return
	}
	if err := guard(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(seen)
	// Output: map[/v1/metrics:true /v1/traces:true]
}

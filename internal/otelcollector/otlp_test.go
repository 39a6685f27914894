package otelcollector_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
)

// sqlError is an error as every driver's: it has a SQLSTATE.
type sqlError string

func (e sqlError) Error() string    { return "server says " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

func TestEverythingTravelsThroughACollector(t *testing.T) {
	address, backend := start(t)
	ctx := t.Context()
	flush := work(t, address)
	flush(ctx)

	var spans, metrics, events []string
	traces := map[string]bool{}
	for _, document := range backend.wait(t, "/v1/traces") {
		for _, s := range decode(t, document).spans() {
			spans = append(spans, s.Name+" "+s.say("db.operation.name", "perdure.manager", "db.response.status_code"))
			traces[s.TraceID] = true
		}
	}
	for _, document := range backend.wait(t, "/v1/metrics") {
		for _, m := range decode(t, document).metrics() {
			metrics = append(metrics, m.Name)
			if m.Name == "db.client.operation.duration" && m.calls() != 2 {
				t.Errorf("%d calls arrive, want 2", m.calls())
			}
		}
	}
	for _, document := range backend.wait(t, "/v1/logs") {
		for _, e := range decode(t, document).events() {
			events = append(events, e.EventName+" "+e.say("db.operation.name", "perdure.correlation_id"))
			if !traces[e.TraceID] {
				t.Errorf("%s is of trace %s, which has not arrived", e.EventName, e.TraceID)
			}
		}
	}
	want := []string{"orders.claim attempt orders.claim warehouse", "orders.claim orders.claim warehouse", "orders.list orders.list warehouse"}
	slices.Sort(spans)
	if diff := cmp.Diff(want, spans); diff != "" {
		t.Errorf("spans: %s", diff)
	}
	wantEvents := []string{"perdure.attempt.failed orders.claim request-7", "perdure.call.recovered orders.claim request-7"}
	if diff := cmp.Diff(wantEvents, events); diff != "" {
		t.Errorf("events: %s", diff)
	}
	for _, name := range []string{
		"db.client.operation.duration", "perdure.attempt.duration", "perdure.calls", "perdure.retries", "perdure.breaker.state",
	} {
		if !slices.Contains(metrics, name) {
			t.Errorf("the metric %s has not arrived", name)
		}
	}
}

// work does two calls, one of which is repeated, under providers that export
// to address. What it returns ends the providers, which sends everything.
func work(t *testing.T, address string) (flush func(context.Context)) {
	t.Helper()
	ctx := t.Context()
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(address), otlpmetrichttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	logs, err := otlploghttp.New(ctx, otlploghttp.WithEndpoint(address), otlploghttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	tp := trace.NewTracerProvider(trace.WithBatcher(spans))
	mp := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(metrics)))
	lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)))
	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		t.Fatal(err)
	}
	stop, err := perdureotel.Instrument(m, perdureotel.Config{TracerProvider: tp, MeterProvider: mp, LoggerProvider: lp})
	if err != nil {
		t.Fatal(err)
	}
	failures := 1
	err = m.Do(perdure.WithCorrelationID(ctx, "request-7"), perdure.Op{Name: "orders.claim", Idempotent: true}, func(context.Context) error {
		if failures--; failures >= 0 {
			return sqlError("40001")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := m.Do(ctx, perdure.Op{Name: "orders.list"}, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	return func(ctx context.Context) {
		for _, end := range []func(context.Context) error{mp.Shutdown, tp.Shutdown, lp.Shutdown, m.Close} {
			if err := end(ctx); err != nil {
				t.Error(err)
			}
		}
		stop()
	}
}

// document is what OTLP's JSON has of what is looked at.
type document struct {
	ResourceSpans []struct {
		ScopeSpans []struct {
			SchemaURL string `json:"schemaUrl"`
			Spans     []item
		}
	}
	ResourceMetrics []struct{ ScopeMetrics []struct{ Metrics []item } }
	ResourceLogs    []struct{ ScopeLogs []struct{ LogRecords []item } }
}

// item is a span, a metric or a log record.
type item struct {
	Name       string
	EventName  string
	TraceID    string `json:"traceId"`
	Attributes []struct {
		Key   string
		Value struct{ StringValue string }
	}
	Histogram struct {
		DataPoints []struct {
			Count json.Number
		}
	}
}

func decode(t *testing.T, text string) document {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d document) spans() (out []item) {
	for _, r := range d.ResourceSpans {
		for _, s := range r.ScopeSpans {
			if s.SchemaURL == perdureotel.SchemaURL {
				out = append(out, s.Spans...)
			}
		}
	}
	return out
}

func (d document) metrics() (out []item) {
	for _, r := range d.ResourceMetrics {
		for _, s := range r.ScopeMetrics {
			out = append(out, s.Metrics...)
		}
	}
	return out
}

func (d document) events() (out []item) {
	for _, r := range d.ResourceLogs {
		for _, s := range r.ScopeLogs {
			out = append(out, s.LogRecords...)
		}
	}
	return out
}

// say returns the values of the keys, as far as there are.
func (i item) say(keys ...string) string {
	out := ""
	for _, key := range keys {
		for _, kv := range i.Attributes {
			if kv.Key == key {
				if out != "" {
					out += " "
				}
				out += kv.Value.StringValue
			}
		}
	}
	return out
}

func (i item) calls() int64 {
	var sum int64
	for _, p := range i.Histogram.DataPoints {
		n, err := p.Count.Int64()
		if err != nil {
			return -1
		}
		sum += n
	}
	return sum
}

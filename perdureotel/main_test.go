package perdureotel_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sqlError is an error of a server, with a text that must never be shown.
type sqlError string

const secret = "SECRET-of-a-row"

func (e sqlError) Error() string    { return "server says " + secret + " " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

var errOwn = errors.New("own error with " + secret)

// records is an exporter of logs that keeps them.
type records struct {
	mu  sync.Mutex
	all []sdklog.Record
}

func (r *records) Export(_ context.Context, all []sdklog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range all {
		r.all = append(r.all, one.Clone())
	}
	return nil
}

func (r *records) Shutdown(context.Context) error   { return nil }
func (r *records) ForceFlush(context.Context) error { return nil }

func (r *records) named(name string) []sdklog.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []sdklog.Record
	for _, one := range r.all {
		if one.EventName() == name {
			out = append(out, one)
		}
	}
	return out
}

// rig is a Manager shown through the real SDK with exporters in memory.
type rig struct {
	*testing.T
	m      *perdure.Manager
	stop   func()
	reader *metric.ManualReader
	second *metric.ManualReader // of reader2
	spans  *tracetest.InMemoryExporter
	logs   *records
	tracer *trace.TracerProvider
}

type options struct {
	manager perdure.Config
	otel    perdureotel.Config
	sampler trace.Sampler // nil: all
	more    []metric.Option
}

// bubble runs f with a rig, in a bubble of its own time.
func bubble(t *testing.T, o options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, reader: metric.NewManualReader(), spans: tracetest.NewInMemoryExporter(), logs: &records{}}
		sampler := o.sampler
		if sampler == nil {
			sampler = trace.AlwaysSample()
		}
		r.tracer = trace.NewTracerProvider(trace.WithSyncer(r.spans), trace.WithSampler(sampler))
		o.otel.TracerProvider = r.tracer
		o.otel.MeterProvider = metric.NewMeterProvider(append(o.more, metric.WithReader(r.reader))...)
		o.otel.LoggerProvider = sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(r.logs)))
		var err error
		if r.m, err = perdure.New(o.manager); err != nil {
			t.Fatal(err)
		}
		if r.stop, err = perdureotel.Instrument(r.m, o.otel); err != nil {
			t.Fatal(err)
		}
		f(r)
		r.stop()
		if err := r.m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func collect(tb testing.TB, reader *metric.ManualReader) map[string]metricdata.Metrics {
	tb.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(tb.Context(), &rm); err != nil {
		tb.Fatal(err)
	}
	out := map[string]metricdata.Metrics{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			out[m.Name] = m
		}
	}
	return out
}

// reader2 returns a reader for a second provider.
func (r *rig) reader2() *metric.ManualReader {
	r.second = metric.NewManualReader()
	return r.second
}

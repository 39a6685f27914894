package leaktest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/internal/leaktest"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdureaudit"
	"github.com/perdure/perdure/perdurelog"
	"github.com/perdure/perdure/perdureotel"
	"github.com/perdure/perdure/perdureprom"
	"github.com/perdure/perdure/redact"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// TestNoMarkedSecretLeaks looks for users' data in all that the library says.
func TestNoMarkedSecretLeaks(t *testing.T) { leaktest.Run(t, &server, newSatellites(t)) }

// satellites are the packages that show what a Manager does, with all that they
// have shown.
type satellites struct {
	lines    leaktest.Outlet // of perdurelog
	events   leaktest.Outlet // of OpenTelemetry's logs
	spans    *tracetest.InMemoryExporter
	reader   *metric.ManualReader
	meters   *metric.MeterProvider
	registry *prometheus.Registry
	dir      string // of the audit trail
	trail    *audit.Trail
	stops    []func() // last first
}

func newSatellites(t *testing.T) *satellites {
	t.Helper()
	s := &satellites{
		spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader(), registry: prometheus.NewRegistry(), dir: filepath.Join(t.TempDir(), "trail"),
	}
	s.meters = metric.NewMeterProvider(metric.WithReader(s.reader))
	var err error
	if s.trail, err = audit.Open(audit.Config{Dir: s.dir, Sanitize: redact.Text}); err != nil {
		t.Fatal(err)
	}
	s.stops = append(s.stops, func() {
		if err := s.trail.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Attach shows what m does, until stop.
func (s *satellites) Attach(t *testing.T, m *perdure.Manager) {
	t.Helper()
	recorder, err := perdureaudit.New(s.trail, perdureaudit.Config{Manager: m.Name()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := recorder.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	log := slog.New(slog.NewJSONHandler(&s.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	remove := m.AddHooks(perdure.JoinHooks(recorder.Hooks(), perdurelog.Hooks(log, perdurelog.Config{Manager: m.Name(), Burst: -1})))
	uninstrument, err := perdureotel.Instrument(m, perdureotel.Config{
		TracerProvider: trace.NewTracerProvider(trace.WithSyncer(s.spans)),
		MeterProvider:  s.meters,
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(s))),
	})
	if err != nil {
		t.Fatal(err)
	}
	collector, err := perdureprom.New(m)
	if err != nil {
		t.Fatal(err)
	}
	s.registry.MustRegister(collector)
	s.stops = append(s.stops, func() {
		remove()
		uninstrument()
		cancel()
		running.Wait()
	})
}

// stop ends what Attach began, so that all is written.
func (s *satellites) stop() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}

// Export implements the exporter of OpenTelemetry's logs.
func (s *satellites) Export(_ context.Context, all []sdklog.Record) error {
	for _, r := range all {
		line := []string{r.EventName(), r.Body().String()}
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			line = append(line, kv.String())
			return true
		})
		s.events.Say(strings.Join(line, " "))
	}
	return nil
}

// Shutdown implements the exporter of OpenTelemetry's logs.
func (s *satellites) Shutdown(context.Context) error { return nil }

// ForceFlush implements the exporter of OpenTelemetry's logs.
func (s *satellites) ForceFlush(context.Context) error { return nil }

// Channels are those of the satellites. Metrics must be asked for before stop.
func (s *satellites) Channels(t *testing.T) []leaktest.Channel {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &collected); err != nil {
		t.Error(err)
	}
	measured, err := json.Marshal(collected)
	if err != nil {
		t.Error(err)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Error(err)
	}
	var metrics strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&metrics, f); err != nil {
			t.Error(err)
		}
	}
	s.stop()
	return []leaktest.Channel{
		{"perdurelog", s.lines.String},
		{"Prometheus metrics", metrics.String},
		{"OpenTelemetry metrics", func() string { return string(measured) }},
		{"OpenTelemetry spans", func() string { return fmt.Sprintf("%+v", s.spans.GetSpans()) }},
		{"OpenTelemetry events", s.events.String},
		{"the audit trail", func() string {
			var all strings.Builder
			files, err := filepath.Glob(filepath.Join(s.dir, "*"))
			if err != nil {
				t.Error(err)
			}
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Error(err)
				}
				all.Write(b)
			}
			return all.String()
		}},
	}
}

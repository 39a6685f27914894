package perdureprom_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdureprom"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// managed is a test with a Manager of its own.
type managed struct {
	*testing.T

	m *perdure.Manager
}

// bubble runs f in a synctest bubble with a Manager of the given configuration.
func bubble(t *testing.T, cfg perdure.Config, f func(t managed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, cfg)
		f(managed{t, m})
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}

func newManager(tb testing.TB, cfg perdure.Config) *perdure.Manager {
	tb.Helper()
	m, err := perdure.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func newCollector(tb testing.TB, managers ...*perdure.Manager) *perdureprom.Collector {
	tb.Helper()
	c, err := perdureprom.New(managers...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func registry(tb testing.TB, collectors ...prometheus.Collector) *prometheus.Registry {
	tb.Helper()
	r := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

func gather(tb testing.TB, g prometheus.Gatherer) map[string]*dto.MetricFamily {
	tb.Helper()
	all, err := g.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range all {
		byName[f.GetName()] = f
	}
	return byName
}

// value returns the value of the one series of a counter or gauge that has
// these labels, given as name, value, name, value.
func value(tb testing.TB, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	tb.Helper()
	var found []float64
series:
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.GetLabel() {
			has[l.GetName()] = l.GetValue()
		}
		for i := 0; i < len(labels); i += 2 {
			if has[labels[i]] != labels[i+1] {
				continue series
			}
		}
		found = append(found, m.GetCounter().GetValue()+m.GetGauge().GetValue())
	}
	if len(found) != 1 {
		tb.Fatalf("%d series of %s with %q, want one", len(found), name, labels)
	}
	return found[0]
}

// sqlError is an error as every driver's: it has a SQLSTATE.
type sqlError string

func (e sqlError) Error() string    { return "SQLSTATE " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

func succeed(context.Context) error { return nil }

// takes is work of that duration, inside a bubble.
func takes(d time.Duration, err error) func(context.Context) error {
	return func(context.Context) error {
		<-time.After(d)
		return err
	}
}

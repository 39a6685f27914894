package perdureprom_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	dto "github.com/prometheus/client_model/go"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/perdureprom"
)

// eventually scrapes until ok, for as long as the test may run.
func eventually(t *testing.T, scrape func() map[string]*dto.MetricFamily, what string, ok func(map[string]*dto.MetricFamily) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok(scrape()) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after a minute, still not: %s", what)
		}
	}
}

// TestTheMissionsMetricsMoveInAnOutage kills a server under work that parks,
// and starts it again.
func TestTheMissionsMetricsMoveInAnOutage(t *testing.T) {
	cluster := pgclustertest.New(t, pgcluster.Config{Settings: map[string]string{"fsync": "off"}})
	m := newManager(t, perdure.Config{Name: "live"})
	pc, err := pgxpool.ParseConfig(cluster.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), pc, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 40*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("Close() = %v", err)
		}
		db.Close()
	})
	r := registry(t, newCollector(t, m), perdureprom.NewPool(m.Name(), db.Pool().Stat))
	scrape := func() map[string]*dto.MetricFamily { return gather(t, r) }

	ask := perdure.Op{Name: "live.ask", ReadOnly: true, Policy: &perdure.Policy{Park: 2 * time.Minute, MaxAttempts: 10}}
	slow := func() error {
		_, err := db.Exec(perdure.WithOp(t.Context(), ask), "select pg_sleep(0.1)")
		return err
	}
	if err := slow(); err != nil {
		t.Fatal(err)
	}
	f := scrape()
	if v := value(t, f, "database_circuit_breaker_state", "operation", "database"); v != 0 {
		t.Fatalf("the state is %v in peace, want 0", v)
	}
	if v := value(t, f, "database_pool_connections", "state", "idle"); v < 1 {
		t.Errorf("%v idle connections of the pool, want one at least", v)
	}

	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if err := slow(); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, scrape, "the breaker open and a call parked", func(f map[string]*dto.MetricFamily) bool {
		return value(t, f, "database_circuit_breaker_state", "operation", "database") == 2 && value(t, f, "database_parked_operations") == 1
	})
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, scrape, "closed again, and the call released", func(f map[string]*dto.MetricFamily) bool {
		return value(t, f, "database_circuit_breaker_state", "operation", "database") == 0 && value(t, f, "database_parked_operations") == 0
	})
	close(stop)
	if err := <-done; err != nil {
		t.Fatalf("the work that parked: %v", err)
	}

	f = scrape()
	errors := 0.0
	for _, s := range f["database_errors_total"].GetMetric() {
		errors += s.GetCounter().GetValue()
	}
	if errors < 1 {
		t.Errorf("%v errors, want one at least: a statement was lost in flight", errors)
	}
	if v := value(t, f, "database_retries_total", "operation", ask.Name, "attempt", "2"); v < 1 {
		t.Errorf("%v second attempts, want one at least", v)
	}
	if v := value(t, f, "retry_success_rate", "operation", ask.Name); v != 1 {
		t.Errorf("the rate is %v, want 1: all that was repeated succeeded", v)
	}
	if v := value(t, f, "database_retried_operations_total", "operation", ask.Name, "outcome", "succeeded"); v < 1 {
		t.Errorf("%v calls saved by a repeat, want one at least", v)
	}
	for _, change := range [][2]string{{"closed", "open"}, {"open", "half_open"}, {"half_open", "closed"}} {
		if v := value(t, f, "database_breaker_transitions_total", "operation", "database", "from", change[0], "to", change[1]); v < 1 {
			t.Errorf("%v transitions from %s to %s, want one at least", v, change[0], change[1])
		}
	}
	if v := value(t, f, "database_breaker_open_seconds_total", "operation", "database"); v <= 0 {
		t.Errorf("open for %v s", v)
	}
}

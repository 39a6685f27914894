package perdureprom_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/perdureprom"
)

var (
	read  = perdure.Op{Name: "stats.read", ReadOnly: true}
	write = perdure.Op{Name: "stats.write"}
)

// steady has delays without chance.
func steady() perdure.Config {
	always := backoff.Config{Func: func(int) time.Duration { return time.Second }}
	return perdure.Config{Name: "warehouse", Policy: perdure.Policy{Backoff: always, Contention: always, Overload: always}}
}

// scenario is one of everything: a success, a repeat that helps, a permanent
// error, giving up, an opening and a hold, a rejection, doubts.
func scenario(tb testing.TB, m *perdure.Manager) {
	tb.Helper()
	ctx := tb.Context()
	try := func(op perdure.Op, d time.Duration, errs ...error) {
		n := -1
		_ = m.Do(ctx, op, func(ctx context.Context) error { n++; return takes(d, errs[n])(ctx) })
	}
	try(read, time.Millisecond, nil)
	try(read, 3*time.Millisecond, sqlError("40001"), sqlError("40P01"), nil)
	try(read, 20*time.Millisecond, sqlError("57014"), sqlError("57014"), sqlError("57014"))
	try(write, time.Microsecond, sqlError("23505"))
	try(write, time.Microsecond, sqlError("not a state"))
	try(write, time.Microsecond, sqlError("40001"))
	db := m.Breaker("database")
	db.HoldOpen("maintenance")
	<-time.After(500 * time.Millisecond)
	try(write, time.Second) // is refused
	<-time.After(time.Second)
	db.HoldClosed("forced")
	m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: write.Name, Resolution: perdure.Aborted, Method: "marker"})
	m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: write.Name, Resolution: perdure.Remembered, Method: "marker\xff"})
}

func TestAScenarioIsExportedToTheLetter(t *testing.T) {
	bubble(t, steady(), func(t managed) {
		m := t.m
		scenario(t, m)
		const want = `
# HELP database_breaker_held Whether a person holds the circuit breaker, open or closed, until it is released: 1 yes, 0 no.
# TYPE database_breaker_held gauge
database_breaker_held{manager="warehouse",operation="database"} 1
database_breaker_held{manager="warehouse",operation="stats.read"} 0
database_breaker_held{manager="warehouse",operation="stats.write"} 0
# HELP database_breaker_open_seconds_total Time that circuit breakers spent open.
# TYPE database_breaker_open_seconds_total counter
database_breaker_open_seconds_total{manager="warehouse",operation="database"} 1.5
database_breaker_open_seconds_total{manager="warehouse",operation="stats.read"} 0
database_breaker_open_seconds_total{manager="warehouse",operation="stats.write"} 0
# HELP database_breaker_rejections_total Calls that an open circuit breaker refused before they began.
# TYPE database_breaker_rejections_total counter
database_breaker_rejections_total{manager="warehouse",operation="stats.read"} 0
database_breaker_rejections_total{manager="warehouse",operation="stats.write"} 1
# HELP database_circuit_breaker_state State of the circuit breaker: 0 closed, 1 half-open, 2 open. operation="database" is the breaker of the whole database.
# TYPE database_circuit_breaker_state gauge
database_circuit_breaker_state{manager="warehouse",operation="database"} 0
database_circuit_breaker_state{manager="warehouse",operation="stats.read"} 0
database_circuit_breaker_state{manager="warehouse",operation="stats.write"} 0
# HELP database_commit_outcomes_total Commits in doubt by how they were resolved (committed, aborted, unknown), and keyed work by whether it was run or remembered.
# TYPE database_commit_outcomes_total counter
database_commit_outcomes_total{manager="warehouse",method="marker",resolution="aborted"} 1
database_commit_outcomes_total{manager="warehouse",method="marker",resolution="committed"} 0
database_commit_outcomes_total{manager="warehouse",method="marker",resolution="unknown"} 0
database_commit_outcomes_total{manager="warehouse",method="marker?",resolution="remembered"} 1
database_commit_outcomes_total{manager="warehouse",method="token",resolution="aborted"} 0
database_commit_outcomes_total{manager="warehouse",method="token",resolution="committed"} 0
database_commit_outcomes_total{manager="warehouse",method="token",resolution="unknown"} 0
# HELP database_errors_total Failed attempts by what their error means.
# TYPE database_errors_total counter
database_errors_total{category="constraint",manager="warehouse",operation="stats.write",severity="low"} 1
database_errors_total{category="timeout",manager="warehouse",operation="stats.read",severity="medium"} 3
database_errors_total{category="transient",manager="warehouse",operation="stats.read",severity="medium"} 2
database_errors_total{category="transient",manager="warehouse",operation="stats.write",severity="medium"} 1
database_errors_total{category="unknown",manager="warehouse",operation="stats.write",severity="low"} 1
# HELP database_parked_operations Calls that wait for a circuit breaker or the retry budget to let them pass.
# TYPE database_parked_operations gauge
database_parked_operations{manager="warehouse"} 0
# HELP database_retried_operations_total Calls that needed a repeat, by whether they succeeded or failed in the end.
# TYPE database_retried_operations_total counter
database_retried_operations_total{manager="warehouse",operation="stats.read",outcome="failed"} 1
database_retried_operations_total{manager="warehouse",operation="stats.read",outcome="succeeded"} 1
database_retried_operations_total{manager="warehouse",operation="stats.write",outcome="failed"} 0
database_retried_operations_total{manager="warehouse",operation="stats.write",outcome="succeeded"} 0
# HELP database_retry_budget_paid_total Repeats that the retry budget paid for.
# TYPE database_retry_budget_paid_total counter
database_retry_budget_paid_total{manager="warehouse"} 2
# HELP database_retry_budget_ratio Share of the repeats allowed in the last second that is left, 0 to 1.
# TYPE database_retry_budget_ratio gauge
database_retry_budget_ratio{manager="warehouse"} 1
# HELP database_retry_budget_refused_total Repeats that the retry budget could not pay for when they were due. Parked calls pay later.
# TYPE database_retry_budget_refused_total counter
database_retry_budget_refused_total{manager="warehouse"} 0
# HELP database_sqlstate_errors_total Failed attempts by the SQLSTATE of the server. What is not a SQLSTATE, and what is too many, counts as other.
# TYPE database_sqlstate_errors_total counter
database_sqlstate_errors_total{manager="warehouse",sqlstate="23505"} 1
database_sqlstate_errors_total{manager="warehouse",sqlstate="40001"} 2
database_sqlstate_errors_total{manager="warehouse",sqlstate="40P01"} 1
database_sqlstate_errors_total{manager="warehouse",sqlstate="57014"} 3
# HELP retry_success_rate Of the calls of the last five minutes that needed a repeat, the share that succeeded. It is 1 while there were none.
# TYPE retry_success_rate gauge
retry_success_rate{manager="warehouse",operation="stats.read"} 0.5
retry_success_rate{manager="warehouse",operation="stats.write"} 1
`
		names := []string{
			"database_breaker_held", "database_breaker_open_seconds_total", "database_breaker_rejections_total",
			"database_circuit_breaker_state", "database_commit_outcomes_total", "database_errors_total",
			"database_parked_operations", "database_retried_operations_total", "database_retry_budget_paid_total",
			"database_retry_budget_ratio", "database_retry_budget_refused_total", "database_sqlstate_errors_total",
			"retry_success_rate",
		}
		if err := testutil.CollectAndCompare(newCollector(t, m), strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
		checkVectors(t, m)
	})
}

// checkVectors checks the metrics of the scenario that have many series of
// zero, which would only be noise above.
func checkVectors(tb testing.TB, m *perdure.Manager) {
	tb.Helper()
	f := gather(tb, registry(tb, newCollector(tb, m)))
	nonzero := func(name string, labels ...string) map[string]float64 {
		out := map[string]float64{}
		for _, s := range f[name].GetMetric() {
			var key []string
			for _, l := range s.GetLabel() {
				if slices.Contains(labels, l.GetName()) {
					key = append(key, l.GetValue())
				}
			}
			if v := s.GetCounter().GetValue(); v != 0 {
				out[strings.Join(key, " ")] = v
			}
		}
		return out
	}
	check := func(name string, series int, got, want map[string]float64) {
		if n := len(f[name].GetMetric()); n != series {
			tb.Errorf("%d series of %s, want %d: they are there from the start", n, name, series)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			tb.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("database_retries_total", 2*9, nonzero("database_retries_total", "operation", "attempt"),
		map[string]float64{"2 stats.read": 2, "3 stats.read": 2})
	check("database_operations_total", 2*12, nonzero("database_operations_total", "operation", "outcome"),
		map[string]float64{
			"stats.read succeeded": 2, "stats.read exhausted": 1, "stats.write failed": 2, "stats.write not_idempotent": 1,
			"stats.write breaker_open": 1,
		})
	check("database_breaker_transitions_total", 3*5, nonzero("database_breaker_transitions_total", "operation", "from", "to"),
		map[string]float64{"closed database open": 1, "open database closed": 1})
}

func TestTheNamesOfTheDesignAreThere(t *testing.T) {
	labels := map[string]string{}
	for _, m := range perdureprom.Metrics() {
		labels[m.Name] = strings.Join(m.Labels, ",")
	}
	for name, want := range map[string]string{
		"database_errors_total":                   "manager,operation,category,severity",
		"database_retries_total":                  "manager,operation,attempt",
		"database_circuit_breaker_state":          "manager,operation",
		"retry_success_rate":                      "manager,operation",
		"database_operations_total":               "manager,operation,outcome",
		"database_retried_operations_total":       "manager,operation,outcome",
		"database_operation_duration_seconds":     "manager,operation",
		"database_attempt_duration_seconds":       "manager,operation",
		"database_retry_delay_seconds":            "manager,operation",
		"database_retry_budget_ratio":             "manager",
		"database_breaker_transitions_total":      "manager,operation,from,to",
		"database_breaker_open_seconds_total":     "manager,operation",
		"database_breaker_held":                   "manager,operation",
		"database_breaker_rejections_total":       "manager,operation",
		"database_sqlstate_errors_total":          "manager,sqlstate",
		"database_commit_outcomes_total":          "manager,resolution,method",
		"database_parked_operations":              "manager",
		"database_pool_connections":               "manager,state",
		"database_pool_acquire_wait_seconds":      "manager",
		"pipeline_runs_total":                     "pipeline,status",
		"pipeline_step_duration_seconds":          "pipeline,step,status",
		"pipeline_last_success_timestamp_seconds": "pipeline",
		"perdure_build_info":                      "manager,version,goversion",
		"perdure_audit_records_total":             "",
		"perdure_audit_failures_total":            "",
	} {
		if got, ok := labels[name]; !ok || got != want {
			t.Errorf("%s{%s}, want {%s}", name, got, want)
		}
	}
}

// everything returns a registry with one of each collector, in use.
func everything(tb testing.TB, m *perdure.Manager) *prometheus.Registry {
	tb.Helper()
	p := perdureprom.NewPipelines()
	p.RunEnded("flights", "succeeded", time.Now())
	p.StepEnded("flights", "load", "succeeded", time.Second)
	return registry(tb, newCollector(tb, m), perdureprom.NewPool(m.Name(), func() fakeStat { return fakeStat{} }), p,
		perdureprom.NewAudit(func() uint64 { return 1 }, func() uint64 { return 0 }))
}

func TestWhatIsExportedIsWhatIsDescribed(t *testing.T) {
	bubble(t, steady(), func(t managed) {
		m := t.m
		scenario(t, m)
		f := gather(t, everything(t, m))
		for _, want := range perdureprom.Metrics() {
			got := f[want.Name]
			if got == nil {
				t.Errorf("%s is described and not exported", want.Name)
				continue
			}
			if kind := strings.ToLower(got.GetType().String()); kind != want.Type || got.GetHelp() != want.Help {
				t.Errorf("%s is a %s with help %q, want %s and %q", want.Name, kind, got.GetHelp(), want.Type, want.Help)
			}
			delete(f, want.Name)
		}
		for name := range f {
			t.Errorf("%s is exported and not described", name)
		}
	})
}

func TestTheMetricsAreLintClean(t *testing.T) {
	bubble(t, steady(), func(t managed) {
		m := t.m
		scenario(t, m)
		problems, err := testutil.GatherAndLint(everything(t, m))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
}

func TestAKnownOperationHasItsSeriesFromTheStart(t *testing.T) {
	bubble(t, steady(), func(t managed) {
		m := t.m
		if err := m.Do(t.Context(), read, succeed); err != nil {
			t.Fatal(err)
		}
		f := gather(t, registry(t, newCollector(t, m)))
		for _, name := range []string{"database", read.Name} {
			if v := value(t, f, "database_circuit_breaker_state", "operation", name); v != 0 {
				t.Errorf("the state of %s is %v, want 0", name, v)
			}
			if v := value(t, f, "database_breaker_transitions_total", "operation", name, "from", "closed", "to", "open"); v != 0 {
				t.Errorf("%s opened %v times, want 0", name, v)
			}
		}
		if v := value(t, f, "retry_success_rate", "operation", read.Name); v != 1 {
			t.Errorf("the rate is %v, want 1", v)
		}
		for _, attempt := range []string{"2", "3", "4", "5", "6", "7", "8", "9", "10+"} {
			if v := value(t, f, "database_retries_total", "operation", read.Name, "attempt", attempt); v != 0 {
				t.Errorf("attempt %s: %v repeats, want 0", attempt, v)
			}
		}
		if v := value(t, f, "database_commit_outcomes_total", "resolution", "unknown", "method", "token"); v != 0 {
			t.Errorf("%v outcomes unknown, want 0", v)
		}
	})
}

func TestManyAttemptsShareALabel(t *testing.T) {
	cfg := steady()
	cfg.Policy.MaxAttempts = 15
	cfg.Policy.Breaker.Rule = breaker.Off
	cfg.Budget.Off = true
	bubble(t, cfg, func(t managed) {
		m := t.m
		op := perdure.Op{Name: "many", ReadOnly: true}
		if err := m.Do(t.Context(), op, func(context.Context) error { return perdure.Transient(errors.New("busy")) }); err == nil {
			t.Fatal("no error")
		}
		f := gather(t, registry(t, newCollector(t, m)))
		if v := value(t, f, "database_retries_total", "attempt", "10+"); v != 6 {
			t.Errorf("%v repeats from the tenth attempt on, want 6", v)
		}
	})
}

func TestCardinalityIsTheManagers(t *testing.T) {
	bubble(t, perdure.Config{MaxOperations: 3}, func(t managed) {
		m := t.m
		for i := range 10 {
			_ = m.Do(t.Context(), perdure.Op{Name: fmt.Sprintf("op-%d", i)}, func(context.Context) error { return sqlError("57014") })
		}
		f := gather(t, registry(t, newCollector(t, m)))
		if n := len(f["retry_success_rate"].GetMetric()); n != 4 {
			t.Errorf("%d operations, want three and other", n)
		}
		if v := value(t, f, "database_operations_total", "operation", "other", "outcome", "not_idempotent"); v != 7 {
			t.Errorf("%v calls of other, want 7", v)
		}
		if v := value(t, f, "database_overflowed_operations_total"); v != 7 {
			t.Errorf("%v calls found no room, want 7", v)
		}
		for _, s := range f["database_circuit_breaker_state"].GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetValue() == "other" {
					t.Error("other has a state, want none: it has no breaker")
				}
			}
		}
	})
}

func TestAnyNumberOfManagersAndCollectors(t *testing.T) {
	var all []*perdure.Manager
	for i := range 4 {
		m := newManager(t, perdure.Config{Name: fmt.Sprintf("db-%d", i)})
		for range i {
			if err := m.Do(t.Context(), read, succeed); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, m)
	}
	f := gather(t, registry(t, newCollector(t, all[:2]...), newCollector(t, all[2]), newCollector(t, all[3])))
	for i, m := range all[1:] {
		if v := value(t, f, "database_operations_total", "manager", m.Name(), "outcome", "succeeded"); v != float64(i+1) {
			t.Errorf("%s: %v calls, want %d", m.Name(), v, i+1)
		}
	}
	if n := len(f["perdure_build_info"].GetMetric()); n != 4 {
		t.Errorf("%d build infos, want one a Manager", n)
	}
}

func TestACollectorCostsCallsNoAllocation(t *testing.T) {
	m := newManager(t, perdure.Config{})
	r := registry(t, newCollector(t, m))
	gather(t, r)
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _ = m.Do(ctx, read, succeed) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if v := value(t, gather(t, r), "database_operations_total", "outcome", "succeeded"); v < 1000 {
		t.Errorf("%v calls counted, want 1,000 at least", v)
	}
}

func TestNewRefuses(t *testing.T) {
	m := newManager(t, perdure.Config{Name: "twice"})
	for name, managers := range map[string][]*perdure.Manager{
		"no Manager":         nil,
		"a nil Manager":      {m, nil},
		"two of one name":    {m, newManager(t, perdure.Config{Name: "twice"})},
		"the same one twice": {m, m},
	} {
		if _, err := perdureprom.New(managers...); err == nil || !strings.Contains(err.Error(), "perdureprom: ") {
			t.Errorf("%s: %v, want an error that says what to do", name, err)
		}
	}
	r := registry(t, newCollector(t, m))
	if err := r.Register(newCollector(t, m)); err == nil {
		t.Error("a registry took the same Manager twice")
	}
}

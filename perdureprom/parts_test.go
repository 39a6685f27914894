package perdureprom_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/perdure/perdure/perdureprom"
)

// fakeStat has the figures of a pool; that a pgxpool.Stat has the same shape is
// shown by the live test.
type fakeStat struct{}

func (fakeStat) AcquiredConns() int32                { return 3 }
func (fakeStat) IdleConns() int32                    { return 2 }
func (fakeStat) ConstructingConns() int32            { return 1 }
func (fakeStat) MaxConns() int32                     { return 8 }
func (fakeStat) EmptyAcquireCount() int64            { return 5 }
func (fakeStat) EmptyAcquireWaitTime() time.Duration { return 2500 * time.Millisecond }

func TestPool(t *testing.T) {
	const want = `
# HELP database_pool_acquire_wait_seconds Waits for a connection of the pool because none was idle, without quantiles.
# TYPE database_pool_acquire_wait_seconds summary
database_pool_acquire_wait_seconds_sum{manager="warehouse"} 2.5
database_pool_acquire_wait_seconds_count{manager="warehouse"} 5
# HELP database_pool_connections Connections of the pool by state: acquired, idle, constructing.
# TYPE database_pool_connections gauge
database_pool_connections{manager="warehouse",state="acquired"} 3
database_pool_connections{manager="warehouse",state="constructing"} 1
database_pool_connections{manager="warehouse",state="idle"} 2
# HELP database_pool_max_connections Connections that the pool may have.
# TYPE database_pool_max_connections gauge
database_pool_max_connections{manager="warehouse"} 8
`
	p := perdureprom.NewPool("warehouse", func() fakeStat { return fakeStat{} })
	if err := testutil.CollectAndCompare(p, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	registry(t, p, perdureprom.NewPool("other", func() fakeStat { return fakeStat{} }))
}

func TestAudit(t *testing.T) {
	records := uint64(41)
	a := perdureprom.NewAudit(func() uint64 { return records }, func() uint64 { return 2 })
	r := registry(t, a)
	records++
	f := gather(t, r)
	if v := value(t, f, "perdure_audit_records_total"); v != 42 {
		t.Errorf("%v records, want 42", v)
	}
	if v := value(t, f, "perdure_audit_failures_total"); v != 2 {
		t.Errorf("%v failures, want 2", v)
	}
}

func TestPipelines(t *testing.T) {
	p := perdureprom.NewPipelines()
	p.Declare("flights")
	r := registry(t, p)
	f := gather(t, r)
	for _, status := range []string{"succeeded", "failed", "canceled"} {
		if v := value(t, f, "pipeline_runs_total", "pipeline", "flights", "status", status); v != 0 {
			t.Errorf("%v runs %s before the first, want 0", v, status)
		}
	}
	if v := value(t, f, "pipeline_last_success_timestamp_seconds", "pipeline", "flights"); v != 0 {
		t.Errorf("last success at %v, want 0: there was none", v)
	}
	at := time.Unix(1_800_000_000, 250e6)
	p.RunEnded("flights", "succeeded", at)
	p.RunEnded("flights", "failed", at.Add(time.Hour))
	p.RunEnded("flights", "exploded", at.Add(2*time.Hour))
	p.StepEnded("flights", "load", "succeeded", 90*time.Second)
	f = gather(t, r)
	for name, want := range map[string]float64{
		"pipeline_last_success_timestamp_seconds": 1_800_000_000.25,
		"pipeline_last_run_timestamp_seconds":     1_800_007_200.25,
	} {
		if v := value(t, f, name, "pipeline", "flights"); v != want {
			t.Errorf("%s = %f, want %f", name, v, want)
		}
	}
	for _, status := range []string{"succeeded", "failed", "other"} {
		if v := value(t, f, "pipeline_runs_total", "status", status); v != 1 {
			t.Errorf("%v runs %s, want 1", v, status)
		}
	}
	h := f["pipeline_step_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != 90 || len(h.GetBucket()) == 0 || len(h.GetPositiveSpan()) == 0 {
		t.Errorf("step = %v, want one of 90 s in both kinds of buckets", h)
	}
}

func TestNamesOfPipelinesAreBounded(t *testing.T) {
	p := perdureprom.NewPipelines()
	for i := range 5000 {
		p.RunEnded(fmt.Sprintf("pipeline-%d", i), "succeeded", time.Unix(1, 0))
		p.StepEnded("pipeline-0", fmt.Sprintf("step-%d", i), "succeeded", time.Second)
	}
	f := gather(t, registry(t, p))
	if n := len(f["pipeline_last_run_timestamp_seconds"].GetMetric()); n != 257 {
		t.Errorf("%d pipelines, want 256 and other", n)
	}
	if n := len(f["pipeline_step_duration_seconds"].GetMetric()); n != 4097 {
		t.Errorf("%d steps, want 4,096 and other", n)
	}
	if v := value(t, f, "pipeline_runs_total", "pipeline", "other", "status", "succeeded"); v != 5000-256 {
		t.Errorf("%v runs of other, want %d", v, 5000-256)
	}
}

func TestTheFileKeepsTheLastSuccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "perdure.prom")
	run := func(status string, at int64, names ...string) map[string]*dto.MetricFamily {
		p := perdureprom.NewPipelines()
		for _, name := range names {
			p.RunEnded(name, status, time.Unix(at, 0))
		}
		if err := perdureprom.WriteFile(path, registry(t, p)); err != nil {
			t.Fatal(err)
		}
		return readFile(t, path)
	}
	success := func(f map[string]*dto.MetricFamily, pipeline string) float64 {
		return value(t, f, "pipeline_last_success_timestamp_seconds", "pipeline", pipeline)
	}
	run("succeeded", 1000, "a", "b")
	f := run("failed", 2000, "a")
	if success(f, "a") != 1000 || success(f, "b") != 1000 {
		t.Errorf("last successes = %v and %v, want both 1000: the failed run knows of none", success(f, "a"), success(f, "b"))
	}
	if v := value(t, f, "pipeline_last_run_timestamp_seconds", "pipeline", "a"); v != 2000 {
		t.Errorf("last run = %v, want 2000", v)
	}
	if f := run("succeeded", 3000, "a"); success(f, "a") != 3000 {
		t.Errorf("last success = %v, want 3000", success(f, "a"))
	}
}

func TestTheFileIsWhatTheTextfileCollectorWants(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "perdure.prom")
	if err := os.WriteFile(path, []byte("{{{ cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := registry(t, newCollector(t, newManager(t, steady())))
	if err := perdureprom.WriteFile(path, r); err != nil {
		t.Fatalf("over a broken file: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode = %v, want 0644: another user reads it", info.Mode())
	}
	if v := value(t, readFile(t, path), "database_circuit_breaker_state", "operation", "database"); v != 0 {
		t.Errorf("state = %v, want 0", v)
	}
}

func TestAFileThatCannotBeWrittenLeavesTheOldOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "perdure.prom")
	p := perdureprom.NewPipelines()
	p.Declare("a")
	if err := perdureprom.WriteFile(path, registry(t, p)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = perdureprom.WriteFile(path, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, broken }))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("WriteFile() = %v, want the error with the path", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the old file is changed (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files = %v, want the one", left)
	}
	if err := perdureprom.WriteFile(filepath.Join(dir, "absent", "x.prom"), registry(t)); err == nil {
		t.Error("no error for a directory that is not there")
	}
}

// readFile reads the file as the textfile collector does.
func readFile(t *testing.T, path string) map[string]*dto.MetricFamily {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

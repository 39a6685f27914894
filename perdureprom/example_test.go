package perdureprom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureprom"
)

// A Collector is registered once, and reads the Manager whenever it is scraped.
func ExampleNew() {
	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	collector, err := perdureprom.New(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{}) // serve it at /metrics

	refresh := perdure.Op{Name: "stats.refresh", Idempotent: true}
	n := 0
	_ = m.Do(context.Background(), refresh, func(context.Context) error {
		if n++; n == 1 {
			return sqlError("40001") // cannot serialize: the second attempt can
		}
		return nil
	})

	scrape := httptest.NewRecorder()
	metrics.ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(scrape.Body.String()) {
		if slices.ContainsFunc([]string{"database_circuit_breaker_state{", `database_retries_total{attempt="2"`, "retry_success_rate{"},
			func(name string) bool { return strings.HasPrefix(line, name) }) {
			fmt.Print(line)
		}
	}
	// Output:
	// database_circuit_breaker_state{manager="warehouse",operation="database"} 0
	// database_circuit_breaker_state{manager="warehouse",operation="stats.refresh"} 0
	// database_retries_total{attempt="2",manager="warehouse",operation="stats.refresh"} 1
	// retry_success_rate{manager="warehouse",operation="stats.refresh"} 1
}

// A run that nobody can scrape leaves a file for the textfile collector of the
// node exporter.
func ExampleWriteFile() {
	pipelines := perdureprom.NewPipelines()
	registry := prometheus.NewRegistry()
	registry.MustRegister(pipelines)
	pipelines.RunEnded("flights", "succeeded", time.Unix(1_000_000_000, 0))

	dir, err := os.MkdirTemp("", "textfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "flights.prom")
	if err := perdureprom.WriteFile(file, registry); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			fmt.Print(line)
		}
	}
	// Output:
	// pipeline_last_run_timestamp_seconds{pipeline="flights"} 1e+09
	// pipeline_last_success_timestamp_seconds{pipeline="flights"} 1e+09
	// pipeline_runs_total{pipeline="flights",status="canceled"} 0
	// pipeline_runs_total{pipeline="flights",status="failed"} 0
	// pipeline_runs_total{pipeline="flights",status="succeeded"} 1
}

// pool is what a pool tells; a *pgxpool.Pool's Stat does, too.
type pool struct{ acquired, idle int32 }

func (p pool) AcquiredConns() int32                { return p.acquired }
func (p pool) IdleConns() int32                    { return p.idle }
func (p pool) ConstructingConns() int32            { return 0 }
func (p pool) MaxConns() int32                     { return 8 }
func (p pool) EmptyAcquireCount() int64            { return 2 }
func (p pool) EmptyAcquireWaitTime() time.Duration { return 30 * time.Millisecond }

// The pool's connections, and how long callers have waited for one:
// NewPool(m.Name(), db.Pool().Stat).
func ExampleNewPool() {
	registry := prometheus.NewRegistry()
	registry.MustRegister(perdureprom.NewPool("warehouse", func() pool { return pool{acquired: 3, idle: 1} }))
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "database_pool_connections{") {
			fmt.Print(line)
		}
	}
	// Output:
	// database_pool_connections{manager="warehouse",state="acquired"} 3
	// database_pool_connections{manager="warehouse",state="constructing"} 0
	// database_pool_connections{manager="warehouse",state="idle"} 1
}

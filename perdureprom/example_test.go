package perdureprom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

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

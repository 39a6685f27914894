// Package deploy_test checks what is in this directory: rules and dashboard
// with promtool and against what is exported, manifests and unit by their form.
package deploy_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.yaml.in/yaml/v4"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureprom"
)

// promtool runs promtool and returns what it says.
func promtool(t *testing.T, stdin []byte, args ...string) (string, error) {
	t.Helper()
	path := os.Getenv("PERDURE_PROMTOOL")
	if path == "" {
		path, _ = filepath.Abs("../.tools/bin/promtool")
		if _, err := os.Stat(path); err != nil {
			if path, err = exec.LookPath("promtool"); err != nil {
				t.Fatal("promtool is missing: make setup unpacks it, or set PERDURE_PROMTOOL to its path")
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTheRulesAreRules(t *testing.T) {
	if out, err := promtool(t, nil, "check", "rules", rulesFile); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheAlertsFire(t *testing.T) {
	if out, err := promtool(t, nil, "test", "rules", rulesTestFile); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTheDashboardsExpressionsAreExpressions makes a rule of each, as Grafana
// fills it in, for promtool to parse.
func TestTheDashboardsExpressionsAreExpressions(t *testing.T) {
	type record struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	type group struct {
		Name  string   `yaml:"name"`
		Rules []record `yaml:"rules"`
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$manager", ".*", "$operation", ".*")
	g := group{Name: "dashboard"}
	for place, expr := range expressions(t) {
		if strings.HasPrefix(place, dashboardFile) {
			g.Rules = append(g.Rules, record{"dashboard:panel:expr", fill.Replace(expr)})
		}
	}
	text, err := yaml.Marshal(map[string][]group{"groups": {g}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, nil, "check", "rules", "--lint=none", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

type sqlError string

func (e sqlError) Error() string    { return string(e) }
func (e sqlError) SQLState() string { return string(e) }

// TestAScrapeIsLintClean gives promtool a scrape with every kind of metric.
func TestAScrapeIsLintClean(t *testing.T) {
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	op := perdure.Op{Name: "deploy.test", ReadOnly: true}
	for _, fault := range []error{nil, sqlError("40001"), sqlError("23505")} {
		_ = m.Do(t.Context(), op, func(context.Context) error { return fault })
	}
	c, err := perdureprom.New(m)
	if err != nil {
		t.Fatal(err)
	}
	p := perdureprom.NewPipelines()
	p.Declare("deploy")
	r := prometheus.NewRegistry()
	r.MustRegister(c, p, perdureprom.NewAudit(func() uint64 { return 1 }, func() uint64 { return 0 }))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := promtool(t, text.Bytes(), "check", "metrics"); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/perdure/perdure/perdureprom"
)

const (
	rulesFile     = "prometheus/rules.yaml"
	rulesTestFile = "prometheus/rules_test.yaml"
	dashboardFile = "grafana/perdure.json"
)

// ruleFile is a file of Prometheus' rules.
type ruleFile struct {
	Groups []struct {
		Name     string
		Interval string
		Rules    []rule
	}
}

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func rules(t *testing.T) []rule {
	t.Helper()
	var f ruleFile
	readYAML(t, rulesFile, &f)
	var all []rule
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", rulesFile)
	}
	return all
}

// expressions returns every PromQL expression of the rules and the dashboard,
// by where it is.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range rules(t) {
		all[rulesFile+" "+r.Record+r.Alert] = r.Expr
	}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all[fmt.Sprintf("%s %q %s", dashboardFile, p.Title, target.RefID)] = target.Expr
		}
	}
	for _, v := range readDashboard(t).Templating.List {
		if m := values.FindStringSubmatch(v.text()); m != nil {
			all[dashboardFile+" variable "+v.Name] = fmt.Sprintf("count by (%s) (%s)", m[2], m[1])
		}
	}
	for _, a := range readDashboard(t).Annotations.List {
		all[dashboardFile+" annotation "+a.Name] = a.Expr
	}
	return all
}

// known maps the names that may be in an expression to their labels: what is
// exported, with the suffixes of its type, and what is recorded.
func known(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	for _, m := range perdureprom.Metrics() {
		labels := append([]string{"job", "instance"}, m.Labels...)
		switch m.Type {
		case "histogram":
			names[m.Name+"_bucket"] = append(slices.Clone(labels), "le")
			names[m.Name+"_count"], names[m.Name+"_sum"] = labels, labels
		case "summary":
			names[m.Name+"_count"], names[m.Name+"_sum"] = labels, labels
		default:
			names[m.Name] = labels
		}
	}
	for _, r := range rules(t) {
		if r.Record != "" {
			names[r.Record] = []string{"job", "manager", "operation"}
		}
	}
	return names
}

var (
	values   = regexp.MustCompile(`^label_values\((.*), ([a-z_]+)\)$`)
	quoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	brackets = regexp.MustCompile(`\[[^\]]*\]`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?\s*(\()?`)
	label    = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
)

// misnamed returns what an expression names that is not known. It is no parser:
// promtool is one, and has seen the expression. Once strings, ranges and label
// lists are gone, what is left of words are metrics, functions, which have a
// parenthesis, and operators.
func misnamed(expr string, names map[string][]string) []string {
	expr = quoted.ReplaceAllString(expr, `""`)
	expr = brackets.ReplaceAllString(expr, "")
	expr = grouping.ReplaceAllString(expr, "")
	var wrong []string
	metrics := 0
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name, matchers, call := m[1], m[2], m[3]
		if call != "" || slices.Contains([]string{"and", "or", "unless", "bool", "offset"}, name) {
			continue
		}
		metrics++
		labels, ok := names[name]
		if !ok {
			wrong = append(wrong, name)
			continue
		}
		for _, l := range label.FindAllStringSubmatch(matchers, -1) {
			if !slices.Contains(labels, l[1]) {
				wrong = append(wrong, name+"{"+l[1]+"}")
			}
		}
	}
	if metrics == 0 {
		wrong = append(wrong, "no metric at all")
	}
	return wrong
}

func TestExpressionsNameWhatIsExported(t *testing.T) {
	names := known(t)
	for place, expr := range expressions(t) {
		for _, wrong := range misnamed(expr, names) {
			t.Errorf("%s: %s is neither exported nor recorded", place, wrong)
		}
	}
}

func TestAWrongNameIsFound(t *testing.T) {
	names := map[string][]string{"a_total": {"job", "operation"}, "x:y:z": {"job"}}
	for expr, want := range map[string]string{
		`sum by (job) (rate(a_total{operation="b{c_total}"}[5m])) > 0 or vector(0)`: "",
		`x:y:z{job=~"$job"} < 0.5 and on (job) a_total`:                             "",
		`topk(10, sum by (nope) (rate(b_total[$__rate_interval])))`:                 "b_total",
		`a_total{job="x", nope!="y"} / x:y:w`:                                       "a_total{nope} x:y:w",
		`time() > 5`:                                                                "no metric at all",
	} {
		if got := strings.Join(misnamed(expr, names), " "); got != want {
			t.Errorf("%s: misnamed = %q, want %q", expr, got, want)
		}
	}
}

// TestEachMetricIsSeen holds the dashboard and the rules to the whole of what
// is exported: a metric that nobody looks at is not worth its cost.
func TestEachMetricIsSeen(t *testing.T) {
	var all strings.Builder
	for _, expr := range expressions(t) {
		all.WriteString(expr + "\n")
	}
	for _, m := range perdureprom.Metrics() {
		if !regexp.MustCompile(`\b` + m.Name + `(_bucket|_sum|_count)?\b`).MatchString(all.String()) {
			t.Errorf("%s is in no rule and on no panel", m.Name)
		}
	}
}

// TestEachAlertIsDocumentedAndTested: whoever is woken finds what to do, and an
// alert that was never seen to fire is none.
func TestEachAlertIsDocumentedAndTested(t *testing.T) {
	var tests struct {
		RuleFiles          []string `yaml:"rule_files"`
		EvaluationInterval string   `yaml:"evaluation_interval"`
		Tests              []struct {
			Name     string
			Interval string
			Input    []struct{ Series, Values string } `yaml:"input_series"`
			Alerts   []struct {
				At        string `yaml:"eval_time"`
				Alertname string
				Want      []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Exprs []struct {
				Expr string
				At   string `yaml:"eval_time"`
				Want []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	readYAML(t, rulesTestFile, &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	var recorded strings.Builder
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			fires[a.Alertname] = fires[a.Alertname] || len(a.Want) > 0
			silent[a.Alertname] = silent[a.Alertname] || len(a.Want) == 0
		}
		for _, e := range test.Exprs {
			recorded.WriteString(e.Expr + "\n")
		}
	}
	used := map[string]bool{}
	for _, r := range rules(t) {
		if r.Record != "" {
			if !strings.Contains(recorded.String(), r.Record) {
				t.Errorf("%s is recorded and not tested", r.Record)
			}
			continue
		}
		if !fires[r.Alert] {
			t.Errorf("%s: no test in which it fires", r.Alert)
		}
		if !silent[r.Alert] && r.Alert != "PerdureParkedCallsGrowing" && r.Alert != "PerdureRetriedOperationsFailing" {
			t.Errorf("%s: no moment in a test at which it does not fire", r.Alert) // the two have other series beside
		}
		book := r.Annotations["runbook"]
		text, err := os.ReadFile("../" + book)
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		used[strings.TrimPrefix(book, "docs/runbooks/")] = true
		for _, want := range []string{"`" + r.Alert + "`", "## What it means", "## What to look at", "## What to do", "## When to silence"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: %s does not have %q", r.Alert, book, want)
			}
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
			t.Errorf("%s: wants a summary, a description, and the severity page or ticket", r.Alert)
		}
	}
	books, err := os.ReadDir("../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		if !used[b.Name()] {
			t.Errorf("docs/runbooks/%s: no alert leads to it", b.Name())
		}
	}
}

// TestRunbooksNameWhatIsExported looks at the names in backquotes.
func TestRunbooksNameWhatIsExported(t *testing.T) {
	names := known(t)
	code := regexp.MustCompile("`[^`]+`")
	metric := regexp.MustCompile(`\b(?:database|pipeline|retry|perdure)_[a-z_]+\b`)
	books, err := os.ReadDir("../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, b := range books {
		text, err := os.ReadFile("../docs/runbooks/" + b.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, quote := range code.FindAllString(string(text), -1) {
			for _, name := range metric.FindAllString(quote, -1) {
				found++
				if _, ok := names[name]; !ok {
					t.Errorf("%s: %s is not exported", b.Name(), name)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d names found in the runbooks: the search is broken", found)
	}
}

// panel is what is looked at of a panel of the dashboard.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID, Expr string
	}
}

type variable struct {
	Name  string
	Type  string
	Query any
}

// text returns the query: "label_values(METRIC, LABEL)" for what is asked of Prometheus.
func (v variable) text() string {
	if q, ok := v.Query.(map[string]any); ok {
		return fmt.Sprint(q["query"])
	}
	return ""
}

type dashboard struct {
	UID, Title  string
	Panels      []panel
	Templating  struct{ List []variable }
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatalf("%s: %v", dashboardFile, err)
	}
	return d
}

// TestTheDashboardIsLaidOut: no two panels overlap, none leaves the grid, each
// says what it shows.
func TestTheDashboardIsLaidOut(t *testing.T) {
	taken := map[[2]int]string{}
	ids := map[int]string{}
	for _, p := range readDashboard(t).Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%q and %q have the same id", p.Title, other)
		}
		ids[p.ID] = p.Title
		if g := p.GridPos; g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%q leaves the grid: %+v", p.Title, g)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[at]; ok {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("%q has no description or shows nothing", p.Title)
		}
	}
	rows := 0
	for _, p := range readDashboard(t).Panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	if len(taken) != rows*24 {
		t.Errorf("%d of %d places of the grid are taken: it has holes", len(taken), rows*24)
	}
}

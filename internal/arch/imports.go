package arch

import (
	"fmt"
	"strconv"
	"strings"
)

// Rule says what the packages in one directory and below it may import besides
// the standard library and each other. The rule with the longest matching Dir
// holds; the rule for "." is the root package's alone.
type Rule struct {
	Dir     string
	Project []string // directories of this repository; "..." allows all but cmd
	Extern  []string // module paths or prefixes of them; "..." allows all
}

const (
	anything = "..."
	pgx      = "github.com/jackc/pgx/v5"
)

// Rules returns the arrows of the repository. A directory that no rule covers is
// a finding: a new package is a decision, and this table is where it is taken.
func Rules() []Rule {
	return []Rule{
		{Dir: ".", Project: []string{"pgerr", "backoff", "breaker", "redact", "internal/stripe"}},
		{Dir: "pgerr"},
		{Dir: "backoff"},
		{Dir: "breaker", Project: []string{"internal/stripe"}},
		{Dir: "perdurepgx", Project: []string{".", "pgerr", "redact", "internal/adapter", "internal/outcome", "internal/sqlname"}, Extern: []string{pgx}},
		{Dir: "perduresql", Project: []string{".", "pgerr", "redact", "internal/adapter", "internal/outcome", "internal/sqlname"}},
		{Dir: "perdureprom", Project: []string{".", "breaker"}, Extern: []string{"github.com/prometheus"}},
		{Dir: "perdureaudit", Project: []string{".", "audit", "breaker", "redact"}},
		{Dir: "perdureotel", Project: []string{".", "pgerr"}, Extern: []string{"go.opentelemetry.io/otel"}},
		{Dir: "perdureotel/otelpipeline", Project: []string{"perdureotel", "pipeline"}, Extern: []string{"go.opentelemetry.io/otel"}},
		{Dir: "perdurelog", Project: []string{".", "pgerr", "breaker"}},
		{Dir: "redact", Project: []string{"pgerr"}},
		{Dir: "health"},
		{Dir: "audit", Project: []string{"redact"}, Extern: []string{"golang.org/x/mod/sumdb"}},
		{Dir: "component", Project: []string{".", "health"}, Extern: []string{"github.com/google/jsonschema-go"}},
		{Dir: "pipeline", Project: []string{".", "backoff", "component", "pgerr", "redact"}, Extern: []string{"github.com/expr-lang/expr", "go.yaml.in/yaml"}},
		{Dir: "builtin", Project: []string{".", "component", "pgerr", "pipeline", "perdurepgx", "redact"}, Extern: []string{pgx}},
		{Dir: "perduretest", Project: []string{".", "backoff", "pgerr", "internal"}},
		{Dir: "internal", Project: []string{anything}, Extern: []string{pgx, "golang.org/x"}},
		{Dir: "internal/arch"},
		{Dir: "internal/adapter", Project: []string{".", "pgerr"}},
		{Dir: "internal/outcome", Project: []string{".", "pgerr", "redact", "internal/adapter"}},
		{Dir: "internal/stripe"},
		{Dir: "internal/sqlname", Project: []string{"."}},
		{Dir: "examples", Project: []string{anything}, Extern: []string{pgx, "gonum.org/v1/gonum", "golang.org/x"}},
		{Dir: "perduredbos", Project: []string{"pipeline"}, Extern: []string{"github.com/dbos-inc/dbos-transact-golang", pgx}},
		{Dir: "perduretemporal", Project: []string{"pipeline", "redact"}, Extern: []string{"go.temporal.io"}},
		{Dir: "cmd", Project: []string{anything}, Extern: []string{anything}},
		{Dir: "bench", Project: []string{anything}, Extern: []string{anything}},
		{Dir: "tools", Extern: []string{anything}},
	}
}

// Imports checks the imports of all files that are not tests against rules.
func (t *Tree) Imports(rules []Rule) []Finding {
	var out []Finding
	for _, f := range t.files {
		if !f.isGo() || f.isTest() {
			continue
		}
		rule, ok := ruleFor(rules, f.dir())
		if !ok {
			out = append(out, Finding{f.name, 0, "no rule covers this directory: add one to Rules in internal/arch"})
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil || allowed(rules, rule, imported) {
				continue
			}
			text := fmt.Sprintf("%s must not import %s", rule.Dir, imported)
			out = append(out, Finding{f.name, t.line(spec), text})
		}
	}
	return out
}

func ruleFor(rules []Rule, dir string) (Rule, bool) {
	best, found := Rule{}, false
	for _, r := range rules {
		match := r.Dir == dir || (r.Dir != "." && within(dir, r.Dir))
		if match && (!found || len(r.Dir) > len(best.Dir)) {
			best, found = r, true
		}
	}
	return best, found
}

func allowed(rules []Rule, rule Rule, imported string) bool {
	if imported == Module || strings.HasPrefix(imported, Module+"/") {
		return allowedProject(rules, rule, strings.TrimPrefix(strings.TrimPrefix(imported, Module), "/"))
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library
	}
	for _, prefix := range rule.Extern {
		if prefix == anything || within(imported, prefix) {
			return true
		}
	}
	return false
}

func allowedProject(rules []Rule, rule Rule, dir string) bool {
	if dir == "" {
		dir = "."
	}
	target, ok := ruleFor(rules, dir)
	if !ok {
		return false
	}
	if target.Dir == rule.Dir {
		return true // its own tree
	}
	for _, p := range rule.Project {
		if p == anything && target.Dir != "cmd" || p == target.Dir {
			return true
		}
	}
	return false
}

// within reports whether path is prefix or lies below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// The bounds of a condition.
const (
	maxCondition      = 4 << 10 // bytes
	maxConditionNodes = 300
)

// functions are those that a condition may call: what they return depends on
// their arguments alone, is not larger than these, and comes in a fixed order.
// There is no clock, no chance, no map (whose results may grow), and nothing that
// returns the keys of an object, which have no order.
func functions() []string {
	return []string{
		"abs", "all", "any", "ceil", "count", "filter", "find", "first", "float", "floor", "hasPrefix", "hasSuffix",
		"indexOf", "int", "last", "len", "lower", "max", "mean", "median", "min", "none", "one", "round", "string",
		"sum", "trim", "upper",
	}
}

// condition is a when that was compiled. It may be used concurrently.
type condition struct {
	program *vm.Program
	refs    []conditionRef
}

// conditionRef is a parameter or a step that a condition speaks of.
type conditionRef struct {
	root, name string
	at         int // rune in the source
}

// conditionError is what is wrong with a condition, and where.
type conditionError struct {
	at  int // rune in the source
	why string
}

func (f conditionError) Error() string { return f.why }

// compileCondition compiles a condition. Its errors are conditionFaults, joined.
func compileCondition(source string) (*condition, error) {
	if len(source) > maxCondition {
		return nil, conditionError{0, fmt.Sprintf("%d bytes are more than %d", len(source), maxCondition)}
	}
	if strings.TrimSpace(source) == "" {
		return nil, conditionError{0, "empty"}
	}
	if before, _, found := strings.Cut(source, "${"); found {
		return nil, conditionError{utf8.RuneCountInString(before), "a condition names things without ${}: params.day == \"2001-12-31\""}
	}
	r := &rules{allowed: functions()}
	options := []expr.Option{
		expr.Env(map[string]any{rootParams: map[string]any{}, rootSteps: map[string]any{}, rootRun: map[string]any{}}),
		expr.AsBool(), expr.MaxNodes(maxConditionNodes), expr.DisableAllBuiltins(), expr.Patch(r),
	}
	for _, name := range r.allowed {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(source, options...)
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	if err != nil {
		if e, ok := errors.AsType[*file.Error](err); ok {
			return nil, conditionError{e.From, strings.TrimSpace(e.Message) + hintFunction(e.Message, r.allowed)}
		}
		return nil, conditionError{0, short(err.Error())}
	}
	return &condition{program: program, refs: r.refs}, nil
}

func hintFunction(message string, known []string) string {
	if strings.Contains(message, "token EOF") {
		return " (the end; in YAML a # after a space begins a comment, unless the condition is in quotes)"
	}
	name, ok := strings.CutPrefix(message, "unknown name ")
	if !ok {
		return ""
	}
	return didYouMean(strings.TrimSpace(name), append([]string{rootParams, rootSteps, rootRun}, known...))
}

// rules walks a condition, gathers what it speaks of, and refuses what could
// make it grow or run long.
type rules struct {
	allowed []string
	refs    []conditionRef
	faults  []error
}

func (r *rules) fault(n ast.Node, why string) {
	r.faults = append(r.faults, conditionError{n.Location().From, why})
}

// Visit is called for each node, inner ones first.
func (r *rules) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.VariableDeclaratorNode:
		r.fault(n, "let is not for conditions")
	case *ast.SequenceNode:
		r.fault(n, "a condition is one expression")
	case *ast.BinaryNode:
		if n.Operator == ".." || n.Operator == "matches" && !isString(n.Right) {
			r.fault(n, n.Operator+" is not for conditions")
		}
	case *ast.BuiltinNode: // the parser knows some of them, whatever is enabled
		if !slices.Contains(r.allowed, n.Name) {
			r.fault(n, n.Name+" is not for conditions"+didYouMean(n.Name, r.allowed))
		}
	case *ast.PredicateNode:
		if within := (&predicates{}); within.count(n.Node) > 0 {
			r.fault(n, "a predicate within a predicate is not for conditions")
		}
	case *ast.MemberNode:
		r.member(n)
	}
}

func isString(n ast.Node) bool {
	_, ok := n.(*ast.StringNode)
	return ok
}

// predicates counts the predicates of a tree.
type predicates struct{ n int }

func (p *predicates) Visit(node *ast.Node) {
	if _, ok := (*node).(*ast.PredicateNode); ok {
		p.n++
	}
}

func (p *predicates) count(n ast.Node) int {
	ast.Walk(&n, p)
	return p.n
}

// member takes params.x, steps.x.output and run.id.
func (r *rules) member(n *ast.MemberNode) {
	root, ok := n.Node.(*ast.IdentifierNode)
	if !ok {
		if inner, ok := n.Node.(*ast.MemberNode); ok && isRoot(inner.Node, rootSteps) && property(n) != "output" {
			r.fault(n, "of a step there is only its output: steps.NAME.output")
		}
		return
	}
	name := property(n)
	switch root.Value {
	case rootParams, rootSteps:
		if name == "" {
			r.fault(n, root.Value+" is followed by a name, not by something computed")
			return
		}
		r.refs = append(r.refs, conditionRef{root.Value, name, n.Location().From})
	case rootRun:
		if name != "id" {
			r.fault(n, "of a run there is only run.id")
		}
	}
}

func isRoot(n ast.Node, name string) bool {
	id, ok := n.(*ast.IdentifierNode)
	return ok && id.Value == name
}

func property(n *ast.MemberNode) string {
	if s, ok := n.Property.(*ast.StringNode); ok {
		return s.Value
	}
	return ""
}

// holds evaluates the condition.
func (c *condition) holds(b bindings) (bool, error) {
	params := make(map[string]any, len(b.params))
	steps := make(map[string]any, len(b.outputs))
	for _, ref := range c.refs {
		switch ref.root {
		case rootParams:
			v, err := plain(b.params[ref.name])
			if err != nil {
				return false, fmt.Errorf("params.%s: %w", ref.name, err)
			}
			params[ref.name] = v
		case rootSteps:
			v, err := plain(b.outputs[ref.name])
			if err != nil {
				return false, fmt.Errorf("steps.%s.output: %w", ref.name, err)
			}
			steps[ref.name] = map[string]any{"output": v}
		}
	}
	out, err := expr.Run(c.program, map[string]any{rootParams: params, rootSteps: steps, rootRun: map[string]any{"id": b.run}})
	if err != nil {
		if e, ok := errors.AsType[*file.Error](err); ok {
			return false, errors.New(strings.TrimSpace(e.Message))
		}
		return false, err
	}
	yes, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("is %T, want true or false", out)
	}
	return yes, nil
}

// plain decodes JSON into what expr-lang computes with: whole numbers as int.
func plain(raw json.RawMessage) (any, error) {
	if raw == nil {
		return nil, nil //nolint:nilnil // null is a value here
	}
	v, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.Atoi(v.String()); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		if f == math.Trunc(f) && math.Abs(f) <= maxInt {
			return int(f)
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			v[k] = numbers(v[k])
		}
	}
	return v
}

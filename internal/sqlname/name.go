// Package sqlname tells from the text of a statement what it is called, whether
// it happens as a whole or not at all, and whether it would end a transaction.
// It reads SQL no deeper than that takes.
package sqlname

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/perdure/perdure"
)

const (
	maxNamed   = 4096 // statements whose names are remembered
	maxNameSQL = 8192 // bytes of a statement that is remembered
	maxOpName  = 100
	maxScan    = 4096 // bytes of a statement that are looked at for its name
)

// statement is what the text of a statement tells.
type statement struct {
	op perdure.Op
	// plain: one statement of which nothing remains when the server refuses it.
	// CALL, DO and several statements in one string may commit in between.
	plain bool
}

// Names gives statements their ops and remembers them. Past maxNamed statements
// it forgets nothing and learns nothing: names are then made anew each time. It
// is safe for concurrent use and must not be copied.
type Names struct {
	ops   map[string]perdure.Op
	known sync.Map // string → *statement
	count atomic.Int64
}

// New returns Names that know ops by the "-- name: X" header of a statement.
func New(ops []perdure.Op) *Names {
	n := &Names{ops: make(map[string]perdure.Op, len(ops))}
	for _, op := range ops {
		n.ops[op.Name] = op
	}
	return n
}

// Faults returns what is wrong with declared ops, each with its place in the list.
func Faults(ops []perdure.Op) []error {
	var faults []error
	seen := make(map[string]bool, len(ops))
	for i, op := range ops {
		if op.Name == "" {
			faults = append(faults, fmt.Errorf("ops[%d]: the name is empty", i))
		} else if seen[op.Name] {
			faults = append(faults, fmt.Errorf("ops[%d]: %q is there twice", i, op.Name))
		}
		seen[op.Name] = true
	}
	return faults
}

// Statement returns the op of sql: the one in ctx, the declared one that its
// "-- name: X" header names, or one derived from its verb and first table, such
// as select.flights, which has statistics but no breaker. It is plain if it is
// one statement of which nothing remains when the server refuses it. The op may
// be shared: it must not be changed.
func (n *Names) Statement(ctx context.Context, sql string) (op *perdure.Op, plain bool) {
	s := n.named(sql)
	if op, ok := perdure.OpFrom(ctx); ok {
		given := op
		return &given, s.plain
	}
	return &s.op, s.plain
}

func (n *Names) named(sql string) *statement {
	if v, ok := n.known.Load(sql); ok {
		return v.(*statement) //nolint:forcetypeassert // the map holds nothing else
	}
	s := n.describe(sql)
	if len(sql) <= maxNameSQL && n.count.Load() < maxNamed {
		if _, there := n.known.LoadOrStore(strings.Clone(sql), s); !there {
			n.count.Add(1)
		}
	}
	return s
}

func (n *Names) describe(sql string) *statement {
	s := &statement{plain: IsPlain(sql)}
	if name := headerName(sql); name != "" {
		if op, ok := n.ops[name]; ok {
			s.op = op
			return s
		}
		s.op = Derived(name)
		return s
	}
	s.op = Derived(derivedName(sql))
	return s
}

// Derived is an op that nobody declared: it is counted, but has no breaker,
// since a name made of SQL may stand for many statements. What may not stand in
// a name becomes "_".
func Derived(name string) perdure.Op {
	var p perdure.Policy
	p.Breaker.Rule = "off"
	return perdure.Op{Name: clean(name), Policy: &p}
}

// headerName returns X of a leading "-- name: X :kind" comment, as sqlc writes it.
func headerName(sql string) string {
	line := strings.TrimLeft(sql, " \t\r\n")
	rest, ok := strings.CutPrefix(line, "--")
	if !ok {
		return ""
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), "name:")
	if !ok {
		return ""
	}
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	word, _, _ := strings.Cut(strings.TrimLeft(rest, " \t"), " ")
	return clean(strings.TrimRight(word, "\r\t"))
}

// derivedName returns the verb and the first table of a statement. It need not
// understand SQL: what it cannot see it leaves out.
func derivedName(sql string) string {
	t := tokens{s: sql[:min(len(sql), maxScan)]}
	verb := strings.ToLower(t.next())
	if verb == "" || !isWord(verb) {
		return "statement"
	}
	before := map[string]string{
		"select": "from", "delete": "from", "insert": "into", "merge": "into", "update": "", "copy": "", "truncate": "",
		"call": "", "with": "from",
	}
	until, known := before[verb]
	if !known {
		return clean(verb)
	}
	for until != "" {
		word := t.next()
		if word == "" {
			return clean(verb)
		}
		if strings.EqualFold(word, until) {
			break
		}
	}
	table := t.next()
	for strings.EqualFold(table, "only") || strings.EqualFold(table, "table") || strings.EqualFold(table, "lateral") {
		table = t.next()
	}
	if !isWord(table) {
		return clean(verb)
	}
	if t.rest() == '.' {
		t.next()
		if second := t.next(); isWord(second) {
			table += "." + second
		}
	}
	return clean(verb + "." + strings.ToLower(table))
}

func isWord(s string) bool {
	return s != "" && (s[0] == '_' || s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 0x80)
}

// clean makes a valid name of an operation: other bytes become "_".
func clean(s string) string {
	if len(s) > maxOpName {
		s = s[:maxOpName]
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 0x80 || !wordByte(c) && c != '.' && c != '-' {
			b[i] = '_'
		}
	}
	switch name := string(b); name {
	case "":
		return "statement"
	case "database", "other":
		return "sql." + name
	default:
		return name
	}
}

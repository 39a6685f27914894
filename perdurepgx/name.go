package perdurepgx

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
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

// names remembers what statements are called. Past maxNamed it forgets nothing
// and learns nothing: names are then made anew each time.
type names struct {
	known sync.Map // string → *statement
	count atomic.Int64
}

// statement returns the op of sql: the one in ctx, the one of Config.Ops that
// its "-- name: X" header names, or one derived from its verb and first table,
// such as select.flights, which has statistics but no breaker.
func (db *DB) statement(ctx context.Context, sql string) (perdure.Op, bool) {
	s := db.named(sql)
	if op, ok := perdure.OpFrom(ctx); ok {
		return op, s.plain
	}
	return s.op, s.plain
}

func (db *DB) named(sql string) *statement {
	if v, ok := db.names.known.Load(sql); ok {
		return v.(*statement) //nolint:forcetypeassert // the map holds nothing else
	}
	s := db.describe(sql)
	if len(sql) <= maxNameSQL && db.names.count.Load() < maxNamed {
		if _, there := db.names.known.LoadOrStore(strings.Clone(sql), s); !there {
			db.names.count.Add(1)
		}
	}
	return s
}

func (db *DB) describe(sql string) *statement {
	s := &statement{plain: isPlain(sql)}
	if name := headerName(sql); name != "" {
		if op, ok := db.ops[name]; ok {
			s.op = op
			return s
		}
		s.op = derivedOp(name)
		return s
	}
	s.op = derivedOp(derivedName(sql))
	return s
}

// derivedOp is an op that nobody declared: it is counted, but has no breaker,
// since a name made of SQL may stand for many statements.
func derivedOp(name string) perdure.Op {
	return perdure.Op{Name: name, Policy: &perdure.Policy{Breaker: breaker.Config{Rule: breaker.Off}}}
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

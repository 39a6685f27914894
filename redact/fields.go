package redact

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/perdure/perdure/pgerr"
)

// Fields is what may be kept of an error of the server, in the fields of the
// protocol's ErrorResponse. DETAIL, HINT, CONTEXT and the internal query hold
// rows, parameters and statements; there is no place for them here.
//
// Give Fields as the server sent them; String and LogValue leave out what may
// hold data.
type Fields struct {
	// Code is the SQLSTATE (field C).
	Code string
	// Message is the primary message (field M). It is kept only if the table of
	// package pgerr says that the code's messages hold no data, and Routine
	// that the server itself wrote it.
	Message string
	// Schema, Table, Column, DataType and Constraint name the object (fields s,
	// t, c, d and n). RAISE can put anything there: they are kept if Routine
	// is one of the server's own.
	Schema, Table, Column, DataType, Constraint string
	// Routine is the function of the server's source that raised it (field R).
	// An error without one came from a pooler or another product: nothing but
	// its code is kept.
	Routine string
}

// Safe returns f with what may hold data left out. The rules for Message:
//
//   - Code must be in the table of package pgerr, with safe messages.
//   - Routine must not be one that passes on what users write: RAISE and ASSERT
//     of PL/pgSQL, the other languages, postgres_fdw and dblink. They may use
//     any code.
//   - In the classes 08, 23, 25, 40, 53, 55 and 57 that is enough. Elsewhere a
//     value can stand for a name (select $1::regclass says: relation "…" does
//     not exist), so that Routine must be one that has read the name in the
//     text of the statement.
func (f Fields) Safe() Fields {
	out := Fields{Code: code(f.Code), Routine: name(f.Routine)}
	if constant(f.Message) { // such as PgBouncer's query_wait_timeout
		out.Message = f.Message
	}
	if out.Routine == "" || relays(out.Routine) {
		return out
	}
	out.Schema, out.Table, out.Column = name(f.Schema), name(f.Table), name(f.Column)
	out.DataType, out.Constraint = name(f.DataType), name(f.Constraint)
	entry, ok := pgerr.Lookup(out.Code)
	if ok && entry.MessageSafe && (plain(out.Code) || readsNames(out.Routine)) {
		out.Message = oneLine(bound(f.Message, maxMessage))
	}
	return out
}

const (
	maxName    = 63 // NAMEDATALEN - 1
	maxMessage = 500
)

// plain reports whether no message of the code's class can hold a value that
// was given for a name.
func plain(code string) bool {
	if code == "55P04" { // names a value of an enum
		return false
	}
	return slices.Contains([]string{"08", "23", "25", "40", "53", "55", "57"}, code[:2])
}

// readsNames reports whether a routine of the server names only what it has
// read in the text of a statement.
func readsNames(routine string) bool {
	return slices.Contains([]string{
		"parserOpenTable", "errorMissingColumn", "errorMissingRTE", "ParseFuncOrColumn", "aclcheck_error",
		"RevalidateCachedQuery",
	}, routine)
}

// relays reports whether a routine passes on what users, or another server,
// have written.
func relays(routine string) bool {
	if slices.Contains([]string{"exec_stmt_raise", "exec_stmt_assert", "pgfdw_report_error", "throw_tcl_error", "croak_cstr"}, routine) {
		return true
	}
	for _, prefix := range []string{"dblink", "PLy", "plperl", "pltcl", "plv8", "plpgsql", "do_util_elog", "ThrowErrorData"} {
		if strings.HasPrefix(routine, prefix) {
			return true
		}
	}
	return false
}

// code returns s if it has the shape of a SQLSTATE.
func code(s string) string {
	if len(s) != 5 {
		return ""
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return s
}

// name returns s if it can be the name of an object of the server.
func name(s string) string {
	if len(s) > maxName || s != oneLine(s) {
		return ""
	}
	return s
}

// oneLine returns s as valid UTF-8 with its control characters replaced by spaces.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// condition returns PostgreSQL's name for a code.
func condition(code string) string {
	if entry, ok := pgerr.Lookup(code); ok {
		return entry.Condition
	}
	return "error"
}

// String returns what may be said in one line: the condition or the message,
// the code and the names, for example
//
//	duplicate key value violates unique constraint "user_email_key" (SQLSTATE 23505, table app.user, constraint user_email_key)
//	invalid_text_representation (SQLSTATE 22P02)
func (f Fields) String() string {
	f = f.Safe()
	if f.Code == "" {
		return "error of the server"
	}
	var b strings.Builder
	if f.Message != "" {
		b.WriteString(f.Message)
	} else {
		b.WriteString(condition(f.Code))
	}
	b.WriteString(" (SQLSTATE " + f.Code)
	table := f.Table
	if f.Schema != "" && table != "" {
		table = f.Schema + "." + table
	}
	for _, n := range [][2]string{{"table", table}, {"column", f.Column}, {"type", f.DataType}, {"constraint", f.Constraint}} {
		if n[1] != "" {
			b.WriteString(", " + n[0] + " " + n[1])
		}
	}
	b.WriteString(")")
	return b.String()
}

// LogValue returns what may be logged as a group: sqlstate, condition, message,
// schema, table, column, data_type, constraint, routine, those that are there.
func (f Fields) LogValue() slog.Value {
	f = f.Safe()
	var attrs []slog.Attr
	for _, a := range [][2]string{
		{"sqlstate", f.Code},
		{"condition", condition(f.Code)},
		{"message", f.Message},
		{"schema", f.Schema},
		{"table", f.Table},
		{"column", f.Column},
		{"data_type", f.DataType},
		{"constraint", f.Constraint},
		{"routine", f.Routine},
	} {
		if a[1] != "" {
			attrs = append(attrs, slog.String(a[0], a[1]))
		}
	}
	return slog.GroupValue(attrs...)
}

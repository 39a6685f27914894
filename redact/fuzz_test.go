package redact_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/perdure/perdure/redact"
)

const mark = "S3KRIT"

// harmless fails if a text holds the mark, is too long or is not UTF-8.
func harmless(t interface{ Fatalf(string, ...any) }, in, out string) {
	if strings.Contains(out, mark) {
		t.Fatalf("%q shows the mark: %q", in, out)
	}
	sane(t, in, out)
}

func sane(t interface{ Fatalf(string, ...any) }, in, out string) {
	if len(out) > redact.MaxText || !utf8.ValidString(out) {
		t.Fatalf("%.100q gives %d bytes, valid UTF-8: %v", in, len(out), utf8.ValidString(out))
	}
}

func FuzzSQL(f *testing.F) {
	for _, s := range []string{`select E'\'', U&"x", $1, $$x$$`, "select /* /* */ 1", `"`, "'", "$a$", "1e+", "\x00", "u&", "--"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, before, secret string) {
		sane(t, before, redact.SQL(before))
		// Whatever lexes so that a literal can follow must not let it through.
		quoted := "'" + strings.ReplaceAll(mark+secret+mark, "'", "''") + "'"
		if strings.Contains(before, mark) || strings.Contains(redact.SQL(before), redact.Mark) {
			return
		}
		in := before + " " + quoted
		if out := redact.SQL(in); strings.Contains(out, mark) {
			t.Fatalf("SQL(%q) = %q", in, out)
		}
	})
}

func FuzzDSN(f *testing.F) {
	for _, s := range []string{"x", "a@b", "a/b?c", " ", "'", `\`, "%zz", "@h/db?application_name=", "h:1/", "@h/?user=", "]:["} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.Contains(a+b, mark) {
			return
		}
		password := a + mark + b
		for _, dsn := range []string{
			"postgres://u:" + password + "@h:5432/db?sslmode=require", // not escaped: malformed if it needed to be
			"postgresql://u:" + url.QueryEscape(password) + "@h/db",
			"postgres://h/db?password=" + url.QueryEscape(password),
			"host=h user=u password='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password) + "' dbname=d",
		} {
			harmless(t, dsn, redact.DSN(dsn))
			harmless(t, dsn, redact.Text(dsn))
			parse := "cannot parse `" + dsn + "`: invalid port (" + dsn + ")"
			harmless(t, parse, redact.Text(parse))
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"password=", "postgres://u:p@h", "(SQLSTATE 22P02)", "pq: x", "\xff", "token: 'x", "a://b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := redact.Text(s)
		sane(t, s, once)
		sane(t, s, redact.DSN(s))
		sane(t, once, redact.Text(once))
	})
}

// literal draws a literal of any kind that holds the mark.
func literal() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		body := rapid.String().Draw(t, "before") + mark + rapid.String().Draw(t, "after")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return "'" + strings.ReplaceAll(body, "'", "''") + "'"
		case 1:
			return "E'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(body) + "'"
		case 2:
			return "$q$" + strings.ReplaceAll(body, "$", "") + "$q$"
		case 3:
			return "/* " + strings.NewReplacer("/", "", "*", "").Replace(body) + " /* " + mark + " */ " + mark + " */"
		case 4:
			return "-- " + strings.NewReplacer("\n", "", "\r", "").Replace(body) + "\n"
		}
		return "12" + mark // a number with junk
	})
}

func TestNoLiteralPassesSQL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glue := rapid.SampledFrom([]string{" ", ", ", "(", ") ", " = ", "::text ", " || ", "\n", " \"a b\" ", " $1 ", ";", " and x <> ", ""})
		var in strings.Builder
		in.WriteString("select ")
		for _, l := range rapid.SliceOfN(literal(), 1, 6).Draw(t, "literals") {
			in.WriteString(glue.Draw(t, "glue") + l)
		}
		harmless(t, in.String(), redact.SQL(in.String()))
	})
}

// tree draws an error tree with the mark in every place that may hold data.
func tree(depth int) *rapid.Generator[error] {
	return rapid.Custom(func(t *rapid.T) error {
		kinds := 9
		if depth == 0 {
			kinds = 5
		}
		dirty := rapid.String().Draw(t, "before") + mark + rapid.String().Draw(t, "after")
		inner := func() error { return tree(depth-1).Draw(t, "inner") }
		switch rapid.IntRange(0, kinds).Draw(t, "kind") {
		case 0:
			return errors.New(dirty)
		case 1:
			code := rapid.SampledFrom([]string{"22P02", "23505", "P0001", "42601", "XX000", "HV000", "44000", "01000", dirty}).Draw(t, "code")
			e := &pgError{
				Code: code, Severity: dirty, Detail: dirty, Hint: dirty, Where: dirty, InternalQuery: dirty,
				Routine: rapid.SampledFrom([]string{"pg_strtoint32", "exec_stmt_raise", "PLy_elog_impl", "dblink_res_error", ""}).Draw(t, "routine"),
			}
			if e.Routine != "pg_strtoint32" { // a relay: all is the user's
				e.Message, e.SchemaName, e.TableName, e.ColumnName, e.DataTypeName, e.ConstraintName = dirty, dirty, dirty, dirty, dirty, dirty
			} else if code != "23505" {
				e.Message = dirty
			}
			return e
		case 2:
			return &url.Error{Op: dirty, URL: dirty, Err: errors.New(dirty)}
		case 3:
			return bare(dirty)
		case 4:
			return redact.Errorf("batch %d of %v %+v", 1, dirty, struct{ s string }{dirty})
		case 5:
			return angry{}
		case 6:
			return fmt.Errorf("%s: %w", dirty, inner())
		case 7:
			return errors.Join(inner(), inner())
		case 8:
			return redact.Errorf("op %s: %w", dirty, inner())
		}
		return &MarkedError{fmt.Errorf("%w and %w, %s", inner(), inner(), dirty)}
	})
}

func TestNoErrorShowsTheMark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		err := tree(4).Draw(t, "err")
		harmless(t, "error", redact.Error(err))
	})
}

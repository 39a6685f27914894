package redact_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/perdure/perdure/redact"
)

// pgError has the shape of *pgconn.PgError.
type pgError struct {
	Severity, Code, Message, Detail, Hint, Where, InternalQuery              string
	SchemaName, TableName, ColumnName, DataTypeName, ConstraintName, Routine string
}

func (e *pgError) Error() string    { return e.Severity + ": " + e.Message + " (SQLSTATE " + e.Code + ")" }
func (e *pgError) SQLState() string { return e.Code }

// bare has nothing but a code.
type bare string

func (e bare) Error() string    { return "server says mark" }
func (e bare) SQLState() string { return string(e) }

type angry struct{}

func (angry) Error() string { panic("mark") }

type endless struct{}

func (e endless) Error() string { return "mark" }
func (e endless) Unwrap() error { return e }

// MarkedError is an exported type that wraps.
type MarkedError struct{ err error }

func (e *MarkedError) Error() string { return "mark " + e.err.Error() }
func (e *MarkedError) Unwrap() error { return e.err }

func unique() *pgError {
	return &pgError{
		Severity: "ERROR", Code: "23505", Message: `duplicate key value violates unique constraint "u_email_key"`,
		Detail: "Key (email)=(mark) already exists.", SchemaName: "app", TableName: "u", ConstraintName: "u_email_key", Routine: "_bt_check_unique",
	}
}

func TestErrorKeepsWhatIsKnownToBeHarmless(t *testing.T) {
	const uniqueText = `duplicate key value violates unique constraint "u_email_key" (SQLSTATE 23505, table app.u, constraint u_email_key)`
	_, parse := strconv.Atoi("mark")
	_, open := os.Open("/nowhere/mark")
	var nilPg *pgError
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"nil has no text", nil, ""},
		{"a unique violation is told with its names", unique(), uniqueText},
		{"and so it is when wrapped", fmt.Errorf("user mark: %w", unique()), uniqueText},
		{"an exported wrapper gives its name", &MarkedError{unique()}, "*redact_test.MarkedError: " + uniqueText},
		{"a message that echoes values is replaced", &pgError{Code: "22P02", Message: `invalid input: "mark"`, Routine: "x"}, "invalid_text_representation (SQLSTATE 22P02)"},
		{"RAISE may use any code and name", &pgError{Code: "23505", Message: "mark", TableName: "mark", Routine: "exec_stmt_raise"}, "unique_violation (SQLSTATE 23505)"},
		{"a name read from a value is not kept", &pgError{Code: "42P01", Message: `relation "mark" does not exist`, Routine: "RangeVarGetRelidExtended"}, "undefined_table (SQLSTATE 42P01)"},
		{"one read from the statement is", &pgError{Code: "42P01", Message: `relation "nosuch" does not exist`, Routine: "parserOpenTable"}, `relation "nosuch" does not exist (SQLSTATE 42P01)`},
		{"a pooler's known words are kept", &pgError{Code: "08P01", Message: "query_wait_timeout"}, "query_wait_timeout (SQLSTATE 08P01)"},
		{"its other words are not", &pgError{Code: "08P01", Message: "no such database: mark"}, "protocol_violation (SQLSTATE 08P01)"},
		{"a code without fields is told by its condition", bare("40P01"), "deadlock_detected (SQLSTATE 40P01)"},
		{"an unknown code is told", bare("MRK01"), "error (SQLSTATE MRK01)"},
		{"what is no code is not", bare("mark"), "error of the server"},
		{"a nil pointer does no harm", nilPg, "*redact_test.pgError"},
		{"an error of nobody knows what is told by its type", errors.New("mark"), "*errors.errorString"},
		{"a constant text is kept", fmt.Errorf("mark: %w", context.DeadlineExceeded), "context deadline exceeded"},
		{"each of joined errors is told once", errors.Join(io.EOF, fmt.Errorf("mark %w", io.EOF), sql.ErrNoRows), "EOF; sql: no rows in result set"},
		{"a dial error without its address", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.UnixAddr{Name: "mark"}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "dial: connect: connection refused"},
		{"a lookup without its name", &net.DNSError{Err: "no such host", Name: "mark"}, "lookup: no such host"},
		{"a URL error without its URL", &url.Error{Op: "Get", URL: "https://u:mark@h", Err: io.EOF}, "Get: EOF"},
		{"a file error without its path", open, "open: no such file or directory"},
		{"a number that is none", parse, "number: invalid syntax"},
		{"a method that panics costs the text", angry{}, "redact_test.angry"},
		{"words that Errorf vouches for", redact.Errorf("batch %d of %q: %w", 3, "mark", unique()), "batch 3 of [redacted]: " + uniqueText},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := redact.Error(tt.err); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrorEndsOnEndlessTrees(t *testing.T) {
	if got := redact.Error(endless{}); strings.Contains(got, "mark") || len(got) > redact.MaxText {
		t.Errorf("Error(endless) = %q", got)
	}
	wide := make([]error, 10_000)
	for i := range wide {
		wide[i] = bare(fmt.Sprintf("M%04d", i))
	}
	if got := redact.Error(errors.Join(wide...)); len(got) > redact.MaxText || !strings.Contains(got, "…") {
		t.Errorf("Error(10,000 errors) has %d bytes", len(got))
	}
}

func TestErrorfWrapsAndSaysAll(t *testing.T) {
	err := redact.Errorf("load %s: %w", "x.csv", io.EOF)
	if !errors.Is(err, io.EOF) || err.Error() != "load x.csv: EOF" {
		t.Errorf("Errorf() = %v, want a text with all and io.EOF inside", err)
	}
}

func TestWordsInARowGetOneMark(t *testing.T) {
	r := redact.Redactor{Words: true}
	for in, want := range map[string]string{
		"127.0.0.1:5432 (127.0.0.1): dial error": "[redacted]: dial error",
		"key 17, 18 of 19 is there":              "key [redacted], [redacted] of [redacted] is there",
		"no number":                              "no number",
		"at 7":                                   "at [redacted]",
	} {
		if got := r.Error(errors.New(in)); got != want {
			t.Errorf("Error(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTrustGivesTheWords(t *testing.T) {
	mine := errors.New("model is not trained")
	r := redact.Redactor{Trust: func(err error) (string, bool) {
		if err == mine { //nolint:errorlint // err alone
			return err.Error(), true
		}
		return "", false
	}}
	if got, want := r.Error(fmt.Errorf("mark: %w", mine)), "model is not trained"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	type holder struct {
		Open   redact.Secret `json:"open"`
		closed redact.Secret
		any    any
		ptr    *redact.Secret
	}
	s := redact.NewSecret("mark")
	h := holder{Open: s, closed: s, any: s, ptr: &s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%T"} {
		for _, v := range []any{s, &s, h, &h, []redact.Secret{s}, map[string]redact.Secret{"k": s}, map[string]any{"k": h}} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, "mark") || strings.Contains(strings.ToLower(got), "6d61726b") {
				t.Errorf("Sprintf(%q, %T) = %q", verb, v, got)
			}
		}
	}
	b, err := json.Marshal(h)
	if want := `{"open":"[redacted]"}`; err != nil || string(b) != want {
		t.Errorf("json = %s, %v, want %s", b, err, want)
	}
	y, err := s.MarshalYAML()
	if err != nil || y != redact.Mark {
		t.Errorf("yaml = %v, %v, want %s", y, err, redact.Mark)
	}
	if s.Reveal() != "mark" || !s.Equal("mark") || s.Equal("mars") || s.Empty() {
		t.Error("the secret does not hold its value")
	}
	var empty redact.Secret
	if !empty.Empty() || empty.String() != "" || empty.Reveal() != "" || !empty.Equal("") {
		t.Error("the zero Secret is not empty")
	}
}

func TestSecretIsReadAndNotReadBack(t *testing.T) {
	var v struct{ Password redact.Secret }
	if err := json.Unmarshal([]byte(`{"Password":"mark"}`), &v); err != nil || v.Password.Reveal() != "mark" {
		t.Errorf("read %q, %v, want the value", v.Password.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`{"Password":"[redacted]"}`), &v); err == nil {
		t.Error("a redacted secret was read back without an error")
	}
}

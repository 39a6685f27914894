package redact_test

import (
	"regexp"
	"testing"

	"github.com/perdure/perdure/redact"
)

func TestDSN(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a URL keeps all but the password", "postgres://app:mark@db.example:5432/shop?sslmode=verify-full", "postgres://app:[redacted]@db.example:5432/shop?sslmode=verify-full"},
		{"several hosts and IPv6", "postgresql://app:mark@[::1]:5432,b:5433/shop", "postgresql://app:[redacted]@[::1]:5432,b:5433/shop"},
		{"no password", "postgres://app@h/db", "postgres://app@h/db"},
		{"options that hold anything are hidden", "postgres://h/db?application_name=mark&options=-c%20x%3Dmark", "postgres://h/db?application_name=[redacted]&options=[redacted]"},
		{"a key in disguise", "postgres://h/db?pass%77ord=mark", "postgres://h/db?password=[redacted]"},
		{"a key that nobody knows", "postgres://h/db?mark=mark", "postgres://h/db?[redacted]=[redacted]"},
		{"a percent-encoded user", "postgres://a%20mark:mark@h/db", "postgres://[redacted]:[redacted]@h/db"},
		{"two @", "postgres://app:ma@rk@h/db", "postgres://[redacted]"},
		{"a slash in the password", "postgres://app:1/mark@h/db", "postgres://[redacted]"},
		{"a question mark in it", "postgres://app:1?mark@h/db", "postgres://[redacted]"},
		{"a hash in it", "postgres://app:#mark@h/db", "postgres://app:[redacted]@h/db"},
		{"a port that is none", "postgres://u:x@h:mark/db", "postgres://[redacted]"},
		{"pairs", "host=db.example user=app password=mark dbname=shop", "host=db.example user=app password=[redacted] dbname=shop"},
		{"quoted, with blanks and escapes", `host = h password = 'ma \' rk' sslmode=require`, "host=h password=[redacted] sslmode=require"},
		{"a quote that does not end", "host=h password='mark", "[redacted]"},
		{"a key twice", "host=h password=x host=mark", "[redacted]"},
		{"a blank that nobody quoted", "host=h password=x mark", "[redacted]"},
		{"files and the key's password", "host=h passfile=/mark sslkey=/mark sslpassword=mark", "host=h passfile=[redacted] sslkey=[redacted] sslpassword=[redacted]"},
		{"what is no connection string", "mark", "[redacted]"},
		{"nothing", "", "[redacted]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := redact.DSN(tt.in); got != tt.want {
				t.Errorf("DSN(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"words stay", "loaded 3 rows: all is well", "loaded 3 rows: all is well"},
		{"a URL in a sentence", "connecting to postgres://a:mark@h/db now", "connecting to postgres://a:[redacted]@h/db now"},
		{"two of them", "from postgres://a:mark@h/x to postgres://b:mark@h/y", "from postgres://a:[redacted]@h/x to postgres://b:[redacted]@h/y"},
		{"a malformed one ends the text", "cannot parse `postgres://a:m ark@h/db`: mark", "cannot parse `postgres://[redacted]"},
		{"pgx's parse error", "cannot parse `host=h password=xxxxx mark`: invalid keyword/value", "cannot parse `host=h password=[redacted]"},
		{"a variable", "PGPASSWORD=mark psql", "PGPASSWORD=[redacted]"},
		{"a pair among pairs", "password=mark host=h", "password=[redacted] host=h"},
		{"JSON", `{"password": "ma\"rk", "host": "h"}`, `{"password":[redacted], "host": "h"}`},
		{"a header", "Authorization: Bearer markmarkmark", "Authorization:[redacted]"},
		{"a bearer alone", "sent Bearer markmarkmark to it", "sent [redacted] to it"},
		{"another scheme", "amqp://u:mark@h/ failed", "amqp://[redacted] failed"},
		{"a plain URL", "see https://example.com/a?b=c for more", "see https://example.com/a?b=c for more"},
		{"a line of .pgpass", "h:5432:db:user:mark", "[redacted]"},
		{"an error of the server made into text", `load: ERROR: invalid input syntax for type integer: "mark" (SQLSTATE 22P02)`, "invalid_text_representation (SQLSTATE 22P02)"},
		{"lib/pq's", `pq: invalid input syntax: "mark"`, "pq: [redacted]"},
		{"what was redacted stays so", "password=[redacted] host=h", "password=[redacted] host=h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := redact.Text(tt.in); got != tt.want {
				t.Errorf("Text(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestSecretKey(t *testing.T) {
	for key, want := range map[string]bool{
		"password": true, "dbPassword": true, "PGPASSWORD": true, "db.pass": true, "pass": true, "api-key": true, "API_KEY": true,
		"access_token": true, "Authorization": true, "database_url": true, "sslpassword": true, "passfile": true,
		"passed": false, "bypass": false, "compass": false, "operation": false, "key": false, "user": false, "": false,
	} {
		if got := redact.SecretKey(key); got != want {
			t.Errorf("SecretKey(%q) = %v, want %v", key, got, want)
		}
	}
}

func TestPatternsHoldForEveryText(t *testing.T) {
	r := redact.Redactor{Patterns: []*regexp.Regexp{regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`)}}
	if got, want := r.Text("ssn 123-45-6789"), "ssn [redacted]"; got != want {
		t.Errorf("Text() = %q, want %q", got, want)
	}
	if got, want := r.Error(&pgError{Code: "23505", Message: `constraint "123-45-6789"`, Routine: "_bt_check_unique"}), `constraint "[redacted]" (SQLSTATE 23505)`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestSQL(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"literals of every kind", `select 'mark', E'a\'mark', B'01', x'6d', N'mark', U&'\006D', $$mark$$, $t$ mark $$ $t$, 1, -2.5e-3, .5, 0xFF, 0b101, 1_000`, "select ?, ?, ?, ?, ?, ?, ?, ?, ?, -?, ?, ?, ?, ?"},
		{"comments, nested too", "select a -- mark\n from /* x /* mark */ mark */ t", "select a from t"},
		{"names and parameters stay", `update "My Table" set a = $1 where b.c <> $2::int`, `update "My Table" set a = $1 where b.c <> $2::int`},
		{"quotes are doubled", "select 'it''s mark'", "select ?"},
		{"strings that go on in the next line", "select 'mark'\n'mark'", "select ? ?"},
		{"operators", "select a->>'mark', b @> '{}', c||'mark'", "select a->>?, b @> ?, c||?"},
		{"a quote too many", "select * from t where n = 'O'Brien mark'", "select [redacted]"},
		{"a quote too few", "insert into t values ('mark", "insert [redacted]"},
		{"an open comment", "select /* mark", "select [redacted]"},
		{"an open dollar quote", "do $x$ mark", "do [redacted]"},
		{"a backslash before a quote", `select 'it\'s mark'`, "select [redacted]"},
		{"rows of COPY", "copy t from stdin;\nmark\t1\n\\.\n", "copy [redacted]"},
		{"a word that touches a string", "select mark'x'", "select [redacted]"},
		{"a zero byte", "select \x00 mark", "select [redacted]"},
		{"what is not UTF-8", "select \xff mark", "select [redacted]"},
		{"a name that is too long for one", "select aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaamark", "select ?"},
		{"no statement", "mark '", "[redacted]"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := redact.SQL(tt.in); got != tt.want {
				t.Errorf("SQL(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

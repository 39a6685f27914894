package leaktest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

// leak is one way in which data gets into an error. Its mark stands for the
// data: {m} in a statement, or {n} where a number is needed.
type leak struct {
	name  string
	mark  string   // "" means the usual {m} or {n}
	steps []string // run in one transaction; the last one fails
	args  func(m string) []any
	run   func(ctx context.Context, e *env, m string) error // instead of steps
}

// env is what a leak is provoked in.
type env struct {
	db  *perdurepgx.DB
	url string
}

// schema is what the leaks find.
var schema = []string{ //nolint:gochecknoglobals // a constant
	`create type mood as enum ('calm')`,
	`create extension btree_gist`, `create extension dblink`,
	`create table u (id int primary key, email text unique, age int check (age >= 0), name text not null)`,
	`create table child (id int primary key, uid int references u)`,
	`create table ex (room int, r int4range, exclude using gist (room with =, r with &&))`,
	`create table part (k int) partition by range (k)`,
	`create view adults as select * from u where age >= 18 with check option`,
	`create table stored (a text)`,
	`create function boom(x text) returns void language plpgsql as 'begin raise exception ''bad customer %'', x; end'`,
	`create function boom_fields(x text) returns void language plpgsql as 'begin raise exception ''no'' using detail = x, hint = x; end'`,
	`create function boom_as(code text, x text) returns void language plpgsql as 'begin raise exception using errcode = code, message = x; end'`,
	`create function boom_names(x text) returns void language plpgsql as
	 'begin raise exception using errcode = ''23514'', message = ''no'', schema = x, table = x, column = x, datatype = x, constraint = x; end'`,
	`create function inner_fail(x text) returns void language plpgsql as 'begin execute ''select '' || quote_literal(x) || ''::int''; end'`,
	`create function bad_sql(x text) returns void language plpgsql as 'begin execute ''select 1 from u where name = '' || x || '' '' || x; end'`,
	`create function as_fail(x text) returns void language plpgsql as 'begin assert false, ''assert got '' || x; end'`,
	`create function strictly(p text) returns void language plpgsql as
	 '#print_strict_params on
	 declare i int; begin select id into strict i from u where name = p; end'`,
	`create function trg() returns trigger language plpgsql as 'begin execute ''insert into child values ('' || new.age || '', null)''; return new; end'`,
	`create table deferred (a text)`,
	`create function late() returns trigger language plpgsql as 'begin perform boom_as(''40001'', new.a); return null; end'`,
	`create constraint trigger late after insert on deferred deferrable initially deferred for each row execute function late()`,
	`create trigger trg after insert on u for each row when (new.name = 'trigger') execute function trg()`,
}

// oneMark passes the mark as the only argument.
func oneMark(m string) []any { return []any{m} }

// leaks are those of the measured list of fields that leak, and more of their
// kind: values that stand for names, other relays, the driver's own errors.
func leaks() []leak {
	all := []leak{
		{name: "unique: the key", steps: []string{`insert into u values (1, '{m}', 1, 'a')`, `insert into u values (2, '{m}', 1, 'a')`}},
		{name: "primary key", steps: []string{`insert into u values ({n}, 'a', 1, 'a')`, `insert into u values ({n}, 'b', 1, 'a')`}},
		{name: "foreign key: insert", steps: []string{`insert into child values (1, {n})`}},
		{name: "foreign key: delete", steps: []string{`insert into u values ({n}, 'a', 1, 'a')`, `insert into child values (1, {n})`, `delete from u`}},
		{name: "not null: the whole row", steps: []string{`insert into u values (1, '{m}', 1, null)`}},
		{name: "check: the whole row", steps: []string{`insert into u values (1, '{m}', -1, 'a')`}},
		{name: "exclusion: both keys", steps: []string{`insert into ex values ({n}, '[1,9)')`, `insert into ex values ({n}, '[5,6)')`}},
		{name: "no partition", steps: []string{`insert into part values ({n})`}},
		{name: "check option of a view", steps: []string{`insert into adults values (1, '{m}', 5, 'a')`}},
		{name: "integer parameter", steps: []string{`select $1::int`}, args: oneMark},
		{name: "integer literal", steps: []string{`select '{m}'::int`}},
		{name: "numeric", steps: []string{`select '{m}'::numeric`}},
		{name: "boolean", steps: []string{`select '{m}'::bool`}},
		{name: "uuid", steps: []string{`select '{m}'::uuid`}},
		{name: "enum", steps: []string{`select '{m}'::mood`}},
		{name: "inet", steps: []string{`select '{m}'::inet`}},
		{name: "array", steps: []string{`select '{m}'::int[]`}},
		{name: "range", steps: []string{`select '{m}'::int4range`}},
		{name: "record", steps: []string{`select '{m}'::u`}},
		{name: "json: a slice of the document", steps: []string{`select '{"ssn": {m}}'::json`}},
		{name: "jsonb", steps: []string{`select '{"ssn": {m}}'::jsonb`}},
		{name: "a log position", steps: []string{`select '{m}'::pg_lsn`}},
		{name: "tsquery", steps: []string{`select '{m} &'::tsquery`}},
		{name: "xml", steps: []string{`select xmlparse(document '<{m}>')`}},
		{name: "date", steps: []string{`select '{m}'::date`}},
		{name: "date out of range", mark: "81706-13-45", steps: []string{`select '81706-13-45'::date`}},
		{name: "timestamp parameter", steps: []string{`select $1::text::timestamptz`}, args: oneMark},
		{name: "interval", steps: []string{`select '{m}'::interval`}},
		{name: "integer out of range", steps: []string{`select '99{n}'::int`}},
		{name: "float out of range", steps: []string{`select '1e{n}'::float8`}},
		{name: "bytes that are not UTF-8", mark: "0xf3 0x61 0x62 0x63", steps: []string{`select convert_from('\xf3616263', 'UTF8')`}},
		{name: "a character without an equivalent", mark: "0xe2 0x98 0x83", steps: []string{`select convert_to(U&'\2603', 'LATIN1')`}},
		{name: "time zone", mark: "Nowhere/Zqmark", steps: []string{`select now() at time zone 'Nowhere/Zqmark'`}},
		{name: "a setting", steps: []string{`select set_config('work_mem', '{m}', true)`}},
		{name: "syntax error: the token", steps: []string{`select 1 {m} {m}`}},
		{name: "regclass: a value for a name", steps: []string{`select $1::text::regclass`}, args: oneMark},
		{name: "regproc", steps: []string{`select '{m}'::regproc`}},
		{name: "regoper: not even quoted", mark: "~%%~%~", steps: []string{`select '~%%~%~'::regoper`}},
		{name: "regtype", steps: []string{`select '{m}'::regtype`}},
		{name: "regrole", steps: []string{`select '{m}'::regrole`}},
		{name: "a role by value", steps: []string{`select pg_has_role($1::name, 'member')`}, args: oneMark},
		{name: "a schema by value", steps: []string{`select has_schema_privilege('{m}', 'usage')`}},
		{name: "a database by value", steps: []string{`select has_database_privilege('{m}', 'connect')`}},
		{name: "a sequence by value", steps: []string{`select nextval('{m}')`}},
		{name: "a file by value", steps: []string{`select pg_read_file('/nowhere/{m}')`}},
		{name: "RAISE: message", steps: []string{`select boom('{m}')`}},
		{name: "RAISE: detail and hint", steps: []string{`select boom_fields('{m}')`}},
		{name: "RAISE as unique_violation", steps: []string{`select boom_as('23505', '{m}')`}},
		{name: "RAISE as serialization_failure, repeated", steps: []string{`select boom_as('40001', '{m}')`}},
		{name: "RAISE as admin_shutdown", steps: []string{`select boom_as('57P01', '{m}')`}},
		{name: "RAISE: names", steps: []string{`select boom_names('{m}')`}},
		{name: "ASSERT", steps: []string{`select as_fail('{m}')`}},
		{name: "EXECUTE: the inner query", steps: []string{`select inner_fail('{m}')`}},
		{name: "EXECUTE: syntax error", steps: []string{`select bad_sql('{m}')`}},
		{name: "STRICT: parameters", steps: []string{`select strictly('{m}')`}},
		{name: "trigger: the statement", steps: []string{`insert into child values ({n}, null)`, `insert into u values (1, 'a', {n}, 'trigger')`}},
		{name: "COMMIT: a deferred trigger", steps: []string{`insert into deferred values ('{m}')`}},
		{name: "a unique index over stored data", steps: []string{`insert into stored values ('{m}'), ('{m}')`, `create unique index on stored (a)`}},
		{name: "another type for stored data", steps: []string{`insert into stored values ('{m}')`, `alter table stored alter a type int using a::int`}},
		{name: "parameters of a failed cast", steps: []string{`set local log_parameter_max_length_on_error = -1`, `select $1::int`}, args: oneMark},
		{name: "parameters of a division", steps: []string{`set local log_parameter_max_length_on_error = -1`, `select 1 / (length($1::text) - length($1::text))`}, args: oneMark},
		{name: "dblink: another server's words", steps: []string{`select dblink_exec('dbname=' || current_database() || ' user=' || current_user || ' port=' || current_setting('port') || ' host=' || split_part(current_setting('unix_socket_directories'), ',', 1), 'do $$ begin raise exception using errcode = ''23505'', message = ''{m}''; end $$')`}},
		{name: "COPY: a bad value", run: copyRows("1\ta\t{m}\tb\n")},
		{name: "COPY: a missing column", run: copyRows("1\t{m}\n")},
	}
	return append(all, driverLeaks()...)
}

// copyRows loads rows in the text format.
func copyRows(rows string) func(context.Context, *env, string) error {
	return func(ctx context.Context, e *env, m string) error {
		return e.db.InTx(ctx, provoke, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Conn().PgConn().CopyFrom(ctx, strings.NewReader(strings.ReplaceAll(rows, "{m}", m)), "copy u from stdin")
			return err
		})
	}
}

// driverLeaks are errors that the driver makes itself.
func driverLeaks() []leak {
	parse := func(dsn string) func(context.Context, *env, string) error {
		return func(_ context.Context, _ *env, m string) error {
			_, err := pgxpool.ParseConfig(strings.ReplaceAll(dsn, "{m}", m))
			return err
		}
	}
	connect := func(change func(c *pgx.ConnConfig, m string)) func(context.Context, *env, string) error {
		return func(ctx context.Context, e *env, m string) error {
			c, err := pgx.ParseConfig(e.url)
			if err != nil {
				return err
			}
			change(c, m)
			c.Fallbacks = nil
			conn, err := pgx.ConnectConfig(ctx, c)
			if err == nil {
				err = errors.Join(errors.New("connected"), conn.Close(ctx))
			}
			return err
		}
	}
	return []leak{
		{name: "a value that cannot be encoded", run: func(ctx context.Context, e *env, m string) error {
			_, err := e.db.Exec(ctx, "select $1::int4", []string{m})
			return err
		}},
		{name: "a value that does not fit the Go type", mark: "817000999", run: func(ctx context.Context, e *env, m string) error {
			var v struct {
				A int8 `json:"a"`
			}
			return e.db.QueryRow(ctx, `select '{"a": `+m+`}'::json`).Scan(&v)
		}},
		{name: "a connection string: blank in the password", run: parse("host=h password=x {m} port=1")},
		{name: "a connection string: bad option", run: parse("postgres://u:x@h/db?connect_timeout={m}")},
		{name: "a connection string: @ in the password", run: parse("postgres://u:x:{m}/y@h:z/db")},
		{name: "an unknown user", run: connect(func(c *pgx.ConnConfig, m string) { c.User = m })},
		{name: "an unknown database", run: connect(func(c *pgx.ConnConfig, m string) { c.Database = m })},
		{name: "an unknown host", run: connect(func(c *pgx.ConnConfig, m string) { c.Host = "/nowhere/" + m })},
		{name: "a bad parameter at the start", run: connect(func(c *pgx.ConnConfig, m string) { c.RuntimeParams["work_mem"] = m })},
		{name: "the program's own words", run: func(ctx context.Context, e *env, m string) error {
			_, err := e.db.Exec(ctx, "select 1/0")
			return fmt.Errorf("customer %s: %w", m, err)
		}},
	}
}

// provoke is the operation under which all leaks run.
var provoke = perdure.Op{Name: "leak.provoke"} //nolint:gochecknoglobals // an Op is declared once

// provoked runs the leak and returns its error, and the mark to look for.
func (l leak) provoked(tb testing.TB, e *env, i int) (mark string, err error) {
	tb.Helper()
	m, n := fmt.Sprintf("mk%03dzq", i), fmt.Sprintf("817000%03d", i)
	mark = l.mark
	fill := strings.NewReplacer("{m}", m, "{n}", n)
	if l.run != nil {
		if mark == "" {
			mark = m
		}
		return mark, l.run(tb.Context(), e, mark)
	}
	if mark == "" {
		mark = m
		if strings.Contains(strings.Join(l.steps, ""), "{n}") {
			mark = n
		}
	}
	return mark, e.db.InTx(tb.Context(), provoke, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		for i, sql := range l.steps {
			var args []any
			if l.args != nil && i == len(l.steps)-1 {
				args = l.args(mark)
			}
			if _, err := tx.Exec(ctx, fill.Replace(sql), args...); err != nil {
				return err
			}
		}
		return nil
	})
}

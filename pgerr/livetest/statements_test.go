package livetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

// statement is a condition that one session raises by itself: all but the last
// step work, the last one raises the code.
type statement struct {
	code  string
	steps []string
}

func raises(code string, steps ...string) statement { return statement{code, steps} }

// schema is what the statements find.
var schema = []string{
	`create table t (id int primary key, a int not null check (a > 0), b varchar(3))`,
	`create table child (t int references t)`,
	`create table room (r int4range, exclude using gist (r with &&))`,
	`create table ident (id int generated always as identity)`,
	`create table bits (b bit(3))`,
	`create table pair (a int, b text)`,
	`create table collated (a text collate "C", b text collate "POSIX")`,
	`create view positive as select id, a, b from t where a > 10 with check option`,
	`create schema s1 create table dup (a int)`, `create schema s2 create table dup (a int)`,
	`create sequence short maxvalue 2 start 2`, `select nextval('short')`, `create sequence fresh`,
	`create function no_return() returns int language plpgsql as 'begin end'`,
	`create function deep(n int) returns int language plpgsql as 'begin return deep(n + 1); end'`,
	`create function pg_temp.noop() returns int language sql as 'select 1'`,
	`insert into t values (1, 1, 'x')`, `insert into room values ('[1,5)')`,
	`create function touch() returns trigger language plpgsql as 'begin update self set n = n + 1 where id = new.id; return new; end'`,
	`create table self (id int, n int)`, `insert into self values (1, 1)`,
	`create trigger touch before update on self for each row when (pg_trigger_depth() = 0) execute function touch()`,
	`create table late (id int)`, `insert into late values (1)`,
	`create trigger late after update on late for each row execute function suppress_redundant_updates_trigger()`,
	`create type mood as enum ('calm')`,
	`create extension file_fdw`, `create server files foreign data wrapper file_fdw`,
}

// conditions are those that SQL alone can raise. RAISE with an ERRCODE of one's
// choice would raise any; it is not used.
func conditions() []statement {
	return []statement{
		raises("0A000", `select distinct a from t for update`),
		raises("0LP01", `grant execute on table t to public`),
		raises("0Z002", `do $$ declare x text; begin get stacked diagnostics x = message_text; end $$`),
		raises("20000", `do $$ begin case 1 when 2 then null; end case; end $$`),
		raises("21000", `select (select generate_series(1, 2))`),
		raises("22001", `update t set b = 'long'`),
		raises("22003", `select 2147483647 + 1`),
		raises("22004", `do $$ begin execute null; end $$`),
		raises("22007", `select 'x'::date`),
		raises("22008", `select '2020-13-45'::date`),
		raises("22009", `select '2020-01-01 00:00+99'::timestamptz`),
		raises("2200C", `select substring('a' from 'a#"b#"c#"d' for '#')`),
		raises("2200H", `select nextval('short')`),
		raises("2200L", `select xmlserialize(document 'x'::xml as text)`),
		raises("2200M", `select xmlparse(document 'x')`),
		raises("2200N", `select xmlparse(content '<a')`),
		raises("2200S", `select xmlcomment('a--b')`),
		raises("2200T", `select xmlpi(name a, '?>')`),
		raises("22011", `select substring('abc' from 1 for -1)`),
		raises("22012", `select 1 / 0`),
		raises("22013", `select sum(1) over (rows between -1 preceding and current row)`),
		raises("22014", `select ntile(0) over ()`),
		raises("22015", `select '99999999999 years'::interval`),
		raises("22016", `select nth_value(1, 0) over ()`),
		raises("2201B", `select 'a' ~ '('`),
		raises("2201E", `select ln(0)`),
		raises("2201F", `select power(0, -1)`),
		raises("2201G", `select width_bucket(1, 0, 1, 0)`),
		raises("2201W", `select 1 limit -1`),
		raises("2201X", `select 1 offset -1`),
		raises("22021", `select convert_from('\xff', 'UTF8')`),
		raises("22023", `select generate_series(1, 2, 0)`),
		raises("22025", `select 'ab' like 'a\'`),
		raises("22026", `insert into bits values (b'10')`),
		raises("2202E", `select array[1, 2] || array[[[1]]]`),
		raises("2202G", `select * from t tablesample system (1) repeatable (null)`),
		raises("2202H", `select * from t tablesample system (-1)`),
		raises("22031", `select jsonb_path_query('"x"', '$.datetime()')`),
		raises("22033", `select jsonb_path_query('[1]', 'strict $[2]')`),
		raises("22036", `select jsonb_path_query('"x"', '$.double()')`),
		raises("22038", `select jsonb_path_query('[1, 2]', '$[*] + 1')`),
		raises("22039", `select jsonb_path_query('1', 'strict $[*]')`),
		raises("2203A", `select jsonb_path_query('{}', 'strict $.a')`),
		raises("2203C", `select jsonb_path_query('1', 'strict $.keyvalue()')`),
		raises("22P02", `select 'x'::int`),
		raises("22P05", `select convert_to(U&'\2603', 'LATIN1')`),
		raises("22P06", `set backslash_quote = off`, `select E'\''`),
		raises("23502", `insert into t values (2, null)`),
		raises("23503", `insert into child values (99)`),
		raises("23505", `insert into t values (1, 1)`),
		raises("23514", `insert into t values (2, -1)`),
		raises("23P01", `insert into room values ('[2,3)')`),
		raises("24000", `begin`, `declare c cursor for select * from t for update`, `update t set a = 2 where current of c`),
		raises("25001", `begin`, `vacuum`),
		raises("25006", `begin read only`, `update t set a = 2`),
		raises("25P01", `savepoint s`),
		raises("26000", `execute nosuch`),
		raises("27000", `update self set n = 5`),
		raises("2BP01", `drop table t`),
		raises("2D000", `begin`, `do $$ begin commit; end $$`),
		raises("2F005", `select no_return()`),
		raises("34000", `fetch nosuch`),
		raises("39P01", `update late set id = id`),
		raises("39P03", `select pg_event_trigger_ddl_commands()`),
		raises("3B001", `begin`, `rollback to nosuch`),
		raises("3D000", `drop database nosuch`),
		raises("3F000", `create table nosuch.x ()`),
		raises("42501", `set role pg_monitor`, `select * from t`),
		raises("42601", `selec 1`),
		raises("42602", `select 'a..b'::regclass`),
		raises("42701", `create table x (a int, a int)`),
		raises("42702", `select a from t x, t y`),
		raises("42703", `select nosuch from t`),
		raises("42704", `drop type nosuch`),
		raises("42710", `create role postgres`),
		raises("42712", `select * from t x, t x`),
		raises("42723", `create function no_return() returns int language sql as 'select 1'`),
		raises("42725", `select '1' + '2'`),
		raises("42803", `select a, count(*) from t`),
		raises("42804", `select 1 where 1`),
		raises("42809", `drop view t`),
		raises("42830", `create table x (a int references pair (a))`),
		raises("42846", `select 1::date`),
		raises("42883", `select nosuch()`),
		raises("428C9", `insert into ident values (1)`),
		raises("42939", `create role pg_own`),
		raises("42P01", `select * from nosuch`),
		raises("42P02", `select $1`),
		raises("42P03", `begin`, `declare c cursor for select 1`, `declare c cursor for select 1`),
		raises("42P04", `create database postgres`),
		raises("42P05", `prepare p as select 1`, `prepare p as select 1`),
		raises("42P06", `create schema public`),
		raises("42P07", `create table t ()`),
		raises("42P08", `prepare q as insert into pair values ($1, $1)`),
		raises("42P09", `select dup.a from s1.dup, s2.dup`),
		raises("42P10", `insert into pair values (1, 'x') on conflict (a) do nothing`),
		raises("42P11", `begin`, `declare c insensitive cursor for select * from t for update`),
		raises("42P13", `create function wrong() returns int language sql as 'select ''a''::text'`),
		raises("42P16", `create table x (a int primary key, b int primary key)`),
		raises("42P17", `create index on pair ((random()))`),
		raises("42P18", `select array[]`),
		raises("42P19", `with recursive x(n) as (select 1 union all select count(*)::int from x) select * from x`),
		raises("42P20", `select 1 from t where rank() over () = 1`),
		raises("42P21", `select 'a' collate "C" < 'b' collate "POSIX"`),
		raises("42P22", `insert into collated values ('a', 'b')`, `select * from collated where a < b`),
		raises("44000", `insert into positive values (5, 5)`),
		raises("53400", `set temp_file_limit = '1kB'`, `set work_mem = '64kB'`, `select count(*) from (select n from generate_series(1, 100000) n order by n desc) x`),
		raises("54000", `select repeat('x', 2000000000)`),
		raises("54001", `select deep(1)`),
		raises("54011", `create table x (`+strings.Repeat("a int, ", 1700)+`z int)`),
		raises("54023", `select nosuch(`+strings.Repeat("1, ", 100)+`1)`),
		raises("55000", `select currval('fresh')`),
		raises("55P02", `set shared_buffers = '1MB'`),
		raises("55P04", `begin`, `alter type mood add value 'odd'`, `select 'odd'::mood`),
		raises("57014", `set statement_timeout = '20ms'`, `select pg_sleep(60)`),
		raises("58P01", `copy pair from '/nonexistent'`),
		raises("HV00D", `create foreign table f (a int) server files options (nosuch '1')`),
		raises("P0001", `do $$ begin raise exception 'no'; end $$`),
		raises("P0002", `do $$ declare x int; begin select id into strict x from t where false; end $$`),
		raises("P0003", `do $$ declare x int; begin select n into strict x from generate_series(1, 2) n; end $$`),
		raises("P0004", `do $$ begin assert false; end $$`),
		raises("XX000", `select pg_describe_object(99999, 1, 0)`),
	}
}

func (p *provoked) testStatements(t *testing.T) {
	url := pgclustertest.Database(t, server.Cluster(t))
	must(t, connect(t, url), schema...)
	for _, c := range append(conditions(), deviceConditions()...) {
		t.Run(c.code, func(t *testing.T) {
			conn := connect(t, url)
			last := len(c.steps) - 1
			must(t, conn, c.steps[:last]...)
			err := exec(t, conn, c.steps[last])
			p.expect(t, c.code, err)

			// The server refused, so the session lives on, and what the
			// verdict calls final is final: the same work fails the same way.
			inTransaction := conn.PgConn().TxStatus() != 'I'
			if inTransaction {
				p.expect(t, "25P02", exec(t, conn, `select 1`))
				must(t, conn, `rollback`)
			}
			if pgerr.Classify(err).Retry != pgerr.RetryNever || inTransaction {
				return
			}
			again := exec(t, conn, c.steps[last])
			if second, ok := errors.AsType[*pgconn.PgError](again); !ok || second.Code != c.code {
				t.Errorf("retry is never, but a repeat gives %v", again)
			}
		})
	}
}

package builtin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/pipeline"
)

func TestMethodsAreKnownBeforeAnythingRuns(t *testing.T) {
	var names []string
	for _, m := range builtin.Methods() {
		names = append(names, m.Uses)
	}
	want := []string{"http.call", "process.run", "sql.exec", "sql.query", "sql.script", "sql.copy"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
}

func TestSQLHappensOnceHoweverOftenItRuns(t *testing.T) {
	h := open(t, server.Database(t))
	d := parse(t, `
name: sums
params: {day: {type: date}, names: {type: list, default: [b, c]}, n: {type: int, default: 5}}
steps:
  - name: tables
    uses: sql.script
    with:
      sql: |
        create table thing (name text, day date, n int, tags text[], doc jsonb);
        -- a comment; with a semicolon
        create function twice(n int) returns int language sql begin atomic select case when true then 2 * n end; end;
        insert into thing values ('a;b', '2001-01-01', 1, '{}', null);
  - name: add
    uses: sql.exec
    needs: [tables]
    with:
      sql: insert into thing values ($1, $2, twice($3), $4, $5)
      args: ["it's", "${params.day}", "${params.n}", "${params.names}", {k: ["${params.n}", null]}]
  - name: each
    uses: sql.exec
    needs: [tables]
    foreach: ${params.names}
    with: {sql: "insert into thing (name) values ($1)", args: ["${item}"]}
  - name: read
    uses: sql.query
    needs: [each]
    with: {sql: "select name, day, n, tags, doc, n > 1 as big, 1.50::numeric as exact, 'NaN'::float8 as nan from thing where n > $1 order by n", args: [1]}
    when: steps.add.output.rows == 1
  - name: use
    uses: sql.exec
    with: {sql: "insert into thing (name, n) values ('copy', $1)", args: ["${steps.read.output.rows[0].n}"]}
`)
	params := map[string]any{"day": "2001-12-31"}
	var first pipeline.Report
	for i := range 3 {
		r, err := h.run(t, d, "run-1", params)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = r
		}
		for _, s := range []string{"tables", "add", "each", "read", "use"} {
			if s != "read" && output(t, r, s) != output(t, first, s) {
				t.Errorf("run %d: output of %s = %s, want the first one's %s", i, s, output(t, r, s), output(t, first, s))
			}
		}
	}
	if got, want := output(t, first, "tables"), `{"rows":1,"statements":3}`; got != want {
		t.Errorf("tables = %s, want %s", got, want)
	}
	if got, want := output(t, first, "read"), `{"count":1,"rows":[{"big":true,"day":"2001-12-31","doc":{"k":[5,null]},"exact":1.5,"n":10,"name":"it's","nan":"NaN","tags":"{b,c}"}]}`; got != want {
		t.Errorf("read = %s, want %s", got, want)
	}
	if got := h.text(t, "select count(*), count(distinct name) from thing"); got != "5 5" {
		t.Errorf("things = %s, want 5 5", got)
	}
	if got := h.text(t, "select name || n from thing where name in ('copy', 'it''s') order by name"); got != "copy10\nit's10" {
		t.Errorf("values = %s", got)
	}
}

func TestWhatScriptsMayNot(t *testing.T) {
	h := open(t, server.Database(t))
	for sql, want := range map[string]string{
		"create table x (); commit":        "line 1: COMMIT",
		"/* a\n*/ begin; select 1":         "line 2: BEGIN",
		"\\copy x from y":                  "psql",
		"-- nothing":                       "no statement",
		"prepare  transaction 'x'":         "PREPARE TRANSACTION",
		"select 1; select 1/0":             "statement 2, line 1",
		"select $$ ; $$; selec 1":          "statement 2, line 1",
		"select E'\\';'; rollback":         "ROLLBACK",
		"select ';' as \";\"; savepoint x": "SAVEPOINT",
	} {
		in := fmt.Sprintf(`{"sql":%q}`, sql)
		d := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "s", Uses: "sql.script", With: []byte(in)}}}
		if _, err := h.run(t, d, "r", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("script %q = %v, want an error with %q", sql, err, want)
		}
	}
	d := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "s", Uses: "sql.script", With: []byte(`{"sql":"vacuum","transaction":false}`)}}}
	if _, err := h.run(t, d, "r", nil); err == nil || !strings.Contains(err.Error(), "needs idempotent: true") {
		t.Errorf("transaction: false alone = %v", err)
	}
	d.Steps[0].With = []byte(`{"sql":"create table if not exists big (id int); vacuum big; create index concurrently if not exists i on big (id)","transaction":false,"idempotent":true}`)
	if r, err := h.run(t, d, "r", nil); err != nil {
		t.Errorf("transaction: false = %v", err)
	} else if got := output(t, r, "s"); got != `{"rows":0,"statements":3}` {
		t.Errorf("output = %s", got)
	}
}

func TestAQueryThatIsTooLargeSaysWhatToDo(t *testing.T) {
	h := open(t, server.Database(t))
	d := parse(t, `
name: p
steps:
  - {name: s, uses: sql.query, with: {sql: "select repeat('x', 1000) from generate_series(1, 100)"}}
`)
	if _, err := h.run(t, d, "r", nil); err == nil || !strings.Contains(err.Error(), "write them into a table") {
		t.Errorf("Run = %v", err)
	}
	d = parse(t, `
name: p
steps:
  - {name: s, uses: sql.query, with: {sql: "create table x ()"}}
`)
	if _, err := h.run(t, d, "r", nil); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("a query that writes = %v, want 25006", err)
	}
}

const things = `line,amount,note
1,10,plain
2,ten,no number
3,30,"a ""quoted"", note"
4,40
5,50,
6,60,"never closed
7,-70,constraint

9,90,last
`

func TestCopyRejectsRowByRow(t *testing.T) {
	h := open(t, server.Database(t))
	h.exec(t, `create table thing (line int primary key, amount int check (amount > 0), note text);
		create table rejected (line int, reason text, text text)`)
	dir := t.TempDir()
	file := filepath.Join(dir, "things.csv")
	write(t, file, things)
	d := parse(t, `
name: p
params: {file: {type: path}}
steps:
  - {name: load, uses: sql.copy, with: {table: thing, file: "${params.file}", batch: 4, rejects: rejected}}
`)
	for range 2 {
		r, err := h.run(t, d, "r", map[string]any{"file": file})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := output(t, r, "load"), `{"batches":3,"rejected":5,"rows":4}`; got != want {
			t.Errorf("output = %s, want %s", got, want)
		}
	}
	if got, want := h.text(t, "select line, amount, note from thing order by line"), "1 10 plain\n3 30 a \"quoted\", note\n5 50 <nil>\n9 90 last"; got != want {
		t.Errorf("things:\n%s\nwant:\n%s", got, want)
	}
	want := `3 invalid input syntax for type integer: "ten" (SQLSTATE 22P02)
5 2 columns, want 3
7 column 3: quote that is never closed
8 new row for relation "thing" violates check constraint "thing_amount_check" (SQLSTATE 23514)
9 empty line`
	if got := h.text(t, "select line, reason from rejected order by line"); got != want {
		t.Errorf("rejected:\n%s\nwant:\n%s", got, want)
	}
	// Another file under the same run is no file of this run.
	write(t, file, things+"10,100,more\n")
	if _, err := h.run(t, d, "r", map[string]any{"file": file}); err == nil || !strings.Contains(err.Error(), "is not the file that this run began with") {
		t.Errorf("a changed file = %v", err)
	}
	// Without a table for them nothing is lost in silence.
	d.Steps[0].With = []byte(`{"table":"thing","file":"${params.file}"}`)
	h.exec(t, "truncate thing")
	if _, err := h.run(t, d, "r2", map[string]any{"file": file}); err == nil || !strings.Contains(err.Error(), "line 3: ") {
		t.Errorf("without rejects = %v, want that line 3 is wrong", err)
	}
	if got := h.text(t, "select count(*) from thing"); got != "0" {
		t.Errorf("%s things after a step that failed in its only batch", got)
	}
}

func TestCopyReadsJSONLines(t *testing.T) {
	h := open(t, server.Database(t))
	h.exec(t, `create table doc (id int, body jsonb, at timestamptz); create table rejected (line int, reason text, text text)`)
	file := filepath.Join(t.TempDir(), "docs.jsonl")
	write(t, file, `{"id": 1, "body": {"a": [1, "x"]}, "at": "2001-01-01T00:00:00Z"}
{"id": 2, "body": null}
[3]
{"id": 4, "other": 1}
{"id": "five"}
{"id": 6}
`)
	d := parse(t, `
name: p
params: {file: {type: path}}
steps:
  - {name: load, uses: sql.copy, with: {table: public.doc, file: "${params.file}", rejects: rejected}}
`)
	r, err := h.run(t, d, "r", map[string]any{"file": file})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := output(t, r, "load"), `{"batches":1,"rejected":3,"rows":3}`; got != want {
		t.Errorf("output = %s, want %s", got, want)
	}
	if got, want := h.text(t, "select id, body->'a'->>1 from doc order by id"), "1 x\n2 <nil>\n6 <nil>"; got != want {
		t.Errorf("docs:\n%s\nwant:\n%s", got, want)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

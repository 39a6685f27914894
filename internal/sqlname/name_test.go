package sqlname

import (
	"context"
	"strings"
	"testing"

	"github.com/perdure/perdure"
)

func TestStatementNames(t *testing.T) {
	t.Parallel()
	declared := perdure.Op{Name: "GetFlight", ReadOnly: true}
	names := New([]perdure.Op{declared})
	for sql, want := range map[string]string{
		"select * from flights where id = 1":                      "select.flights",
		"SELECT\n\t'from x' /* from y */ -- from z\nFROM Flights": "select.flights",
		`select 1 from "My Table" m`:                              "select.my_table",
		"select now()":                                            "select",
		"insert into public.flight (a) values ($1)":               "insert.public.flight",
		"update only t set a = 1":                                 "update.t",
		"delete from t":                                           "delete.t",
		"with x as (select 1) select * from x":                    "with.x",
		"truncate table a, b":                                     "truncate.a",
		"copy t (a) from stdin":                                   "copy.t",
		"call p(1)":                                               "call.p",
		"-- name: ListPlanes :many\nselect 1":                     "ListPlanes",
		"-- name: GetFlight :one\nselect 1":                       "GetFlight",
		"vacuum":                                                  "vacuum",
		"":                                                        "statement",
		";":                                                       "statement",
		"select * from other":                                     "select.other",
		"database":                                                "sql.database",
		"select $$from t$$ from u":                                "select.u",
		"select e'\\' from x' from v":                             "select.v",
	} {
		if op, _ := names.Statement(t.Context(), sql); op.Name != want {
			t.Errorf("the name of %q = %q, want %q", sql, op.Name, want)
		}
	}
	if op, _ := names.Statement(t.Context(), "-- name: GetFlight :one\nselect 1"); !op.ReadOnly {
		t.Error("a declared op lost what it says")
	}
	ctx := perdure.WithOp(context.WithoutCancel(t.Context()), perdure.Op{Name: "mine"})
	if op, _ := names.Statement(ctx, "select 1"); op.Name != "mine" {
		t.Errorf("the name under WithOp = %q, want mine", op.Name)
	}
}

func TestPlainStatements(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"select 1": true, "select 1;": true, "select ';' ; -- ;": true, "insert into t values ($$;$$)": true,
		"select 1; select 2": false, "call p()": false, "do $$ begin commit; end $$": false, "vacuum": false,
		"begin": false, "": false, "/* ; */ update t set a = 1": true, "create index concurrently i on t (a)": false,
	} {
		if got := IsPlain(sql); got != want {
			t.Errorf("IsPlain(%q) = %v, want %v", sql, got, want)
		}
	}
	for sql, want := range map[string]bool{"NOTIFY x": true, "select pg_notify('a', 'b')": true, "select 1": false, "no tify": false, "nnotify": true} {
		if got := MayNotify(sql); got != want {
			t.Errorf("MayNotify(%q) = %v, want %v", sql, got, want)
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	names := New(nil)
	for i := range 2 * maxNamed {
		names.Statement(t.Context(), "select "+strings.Repeat("x", i%97)+string(rune('a'+i%26))+strings.Repeat("y", i/97))
	}
	if n := names.count.Load(); n > maxNamed {
		t.Errorf("%d statements are remembered, want at most %d", n, maxNamed)
	}
}

// A name is always one that a Manager takes, whatever the statement.
func FuzzName(f *testing.F) {
	for _, s := range []string{"select 1 from t", "-- name: \x00 :one", `insert into "`, "select $a$ $b$", "/*/*", "'", "with\xff from \xff.\xff", "-- name:database"} {
		f.Add(s)
	}
	m, err := perdure.New(perdure.Config{MaxOperations: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		s := New(nil).describe(sql)
		if err := m.Do(t.Context(), s.op, func(context.Context) error { return nil }); err != nil {
			t.Errorf("the name %q of %q: %v", s.op.Name, sql, err)
		}
		IsPlain(sql)
		EndsTx(sql)
		MayNotify(sql)
	})
}

func TestStatementsThatEndATransaction(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"commit": true, " /* x */ COMMIT AND CHAIN": true, "end": true, "abort": true, "rollback": true,
		"rollback work and chain": true, "prepare transaction 'x'": true, "select 1; commit": true,
		"select 1;; -- x\n rollback transaction": true,
		"":                                       false, "select 'commit'": false, "rollback to a": false, "ROLLBACK TRANSACTION TO SAVEPOINT a": false,
		"prepare x as select 1": false, "commit prepared 'x'": false, "select 1; rollback to a": false,
		"create function f() returns int begin atomic select 1; end": false, "select 1; select ';commit'": false,
		"do $$ begin commit; end $$": false, "release savepoint commit": false,
	} {
		if got := EndsInside(sql); got != want {
			t.Errorf("EndsInside(%q) = %t, want %t", sql, got, want)
		}
	}
}

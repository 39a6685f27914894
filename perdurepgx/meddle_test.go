package perdurepgx_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

// replyLost cuts a connection at the reply to a COMMIT.
func replyLost(skip int) faultproxy.Rule {
	return faultproxy.Rule{
		Name: "reply", Count: 1, Skip: skip, Action: faultproxy.FIN,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	}
}

// Whatever a function does to its transaction, a row of it is never there twice.
func TestMeddlersDoubleNothing(t *testing.T) {
	t.Parallel()
	readOnly := perdure.Op{Name: "test.read", ReadOnly: true}
	all := func(sqls ...string) func(ctx context.Context, tx pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			for _, sql := range sqls {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		}
	}
	beside := func(sqls ...string) func(ctx context.Context, tx pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			for _, sql := range sqls {
				if _, err := tx.Conn().Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		}
	}
	const row = "insert into t values (1)"
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		for name, tc := range map[string]struct {
			op   perdure.Op
			rule faultproxy.Rule
			fn   func(ctx context.Context, tx pgx.Tx) error
			ends bool // the function ends its transaction: that is an error
		}{
			"read only after a write":          {opLoad, replyLost(0), all(row, "set transaction read only"), false},
			"read write after all":             {readOnly, replyLost(0), all("set transaction read write", row), true},
			"a foreign table only":             {opLoad, replyLost(0), all("insert into f values (1)"), false},
			"a savepoint rolled back":          {opLoad, replyLost(0), beside("savepoint a", "rollback to a", row), false},
			"rollback, begin":                  {opLoad, replyLost(0), beside("rollback; begin", row), method == perdurepgx.Token},
			"rollback and chain":               {opLoad, replyLost(0), beside("rollback and chain", row), method == perdurepgx.Token},
			"commit and chain":                 {opLoad, replyLost(1), beside(row, "commit and chain"), true},
			"commit, begin":                    {opLoad, replyLost(1), beside(row, "commit", "begin"), true},
			"commit, begin, COMMIT kept back":  {opLoad, commitKeptBack(1), beside(row, "commit; begin"), true},
			"commit, begin, a flaky statement": {opLoad, replyLost(9), beside(row, "commit", "begin", "select flaky()"), true},
			"commit, connection lost":          {opLoad, replyLost(9), beside(row, "commit", "select pg_terminate_backend(pg_backend_pid())"), true},
			"commit through the handle":        {opLoad, replyLost(0), all(row, "commit"), true},
			"commit after another, reply lost": {opLoad, replyLost(0), all(row + "; /* so */ commit work"), true},
			"commit under a savepoint": {opLoad, replyLost(0), func(ctx context.Context, tx pgx.Tx) error {
				return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return all(row, "commit")(ctx, tx) })
			}, true},
			"prepare transaction, through handle": {opLoad, replyLost(0), all(row, "prepare transaction 'x'"), true},
		} {
			t.Run(method.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
				b.flaky(t)
				b.exec(t, "drop table t; create table t (id bigint); create extension postgres_fdw")
				b.exec(t, "do $$ begin execute format('create server s foreign data wrapper postgres_fdw options (host %L, port %L, dbname %L)', "+
					"'127.0.0.1', current_setting('port'), current_database()); end $$")
				b.exec(t, "create user mapping for public server s; create foreign table f (id bigint) server s options (table_name 't')")
				if method == perdurepgx.Marker {
					b.migrate(t)
				}
				faultproxytest.Add(t, proxy, tc.rule)
				err := b.InTx(t.Context(), tc.op, pgx.TxOptions{}, tc.fn)
				if n := b.count(t, "t"); n > 1 || err == nil && n != 1 || tc.ends && err == nil {
					t.Errorf("InTx = %v with %d rows", err, n)
				}
			})
		}
	}
}

// A key whose work committed by itself is not taken for done.
func TestOnceIsNotCutInTwo(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	runs := 0
	for range 2 {
		_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) {
			runs++
			_, err := tx.Conn().Exec(ctx, "insert into t values (1); commit; begin; insert into t values (2)")
			return 1, err
		})
		if err == nil || b.count(t, "t") != 1 || runs != 1 {
			t.Errorf("Once = %v with %d rows after %d runs, want an error and what was committed", err, b.count(t, "t"), runs)
		}
	}
}

func commitKeptBack(skip int) faultproxy.Rule {
	return faultproxy.Rule{
		Name: "kept", Count: 1, Skip: skip, Action: faultproxy.RST,
		Match: faultproxy.Match{Message: faultproxy.Query, Text: faultproxy.Contains("commit")},
	}
}

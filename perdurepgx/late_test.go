package perdurepgx_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

var errRolledBack = errors.New("roll back") //nolint:gochecknoglobals // a sentinel

// doors are the ways in which a function may send its first statement, which
// writes one row; late says that BEGIN goes out with it.
func doors() map[string]struct {
	late bool
	fn   func(ctx context.Context, tx pgx.Tx) error
} {
	const row = "insert into t (id) values ($1)"
	const plain = "insert into t (id) values (1)"
	exec := func(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}
	return map[string]struct {
		late bool
		fn   func(ctx context.Context, tx pgx.Tx) error
	}{
		"Exec with arguments": {true, func(ctx context.Context, tx pgx.Tx) error { return exec(ctx, tx, row, 1) }},
		"Exec without":        {false, func(ctx context.Context, tx pgx.Tx) error { return exec(ctx, tx, plain) }},
		"Exec, named": {false, func(ctx context.Context, tx pgx.Tx) error {
			return exec(ctx, tx, "insert into t (id) values (@id)", pgx.NamedArgs{"id": 1})
		}},
		"Exec, simple protocol": {false, func(ctx context.Context, tx pgx.Tx) error {
			return exec(ctx, tx, row, pgx.QueryExecModeSimpleProtocol, 1)
		}},
		"Query": {true, func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, row+" returning id", 1)
			if err != nil {
				return err
			}
			_, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
			return err
		}},
		"QueryRow": {true, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, row+" returning id", 1).Scan(new(int))
		}},
		"SendBatch": {false, func(ctx context.Context, tx pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue(row, 1)
			return tx.SendBatch(ctx, b).Close()
		}},
		"CopyFrom": {false, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"id"}, pgx.CopyFromRows([][]any{{1}}))
			return err
		}},
		"Prepare": {false, func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Prepare(ctx, "mine", row); err != nil {
				return err
			}
			return exec(ctx, tx, "mine", 1)
		}},
		"a savepoint": {false, func(ctx context.Context, tx pgx.Tx) error {
			return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return exec(ctx, tx, row, 1) })
		}},
		"Conn": {false, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Conn().Exec(ctx, row, 1)
			return err
		}},
		"Conn, below pgx": {false, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Conn().PgConn().Exec(ctx, plain).ReadAll()
			return err
		}},
		"LargeObjects": {false, func(ctx context.Context, tx pgx.Tx) error {
			los := tx.LargeObjects()
			if _, err := los.Create(ctx, 0); err != nil {
				return err
			}
			return exec(ctx, tx, row, 1)
		}},
	}
}

// By whichever door it comes, the first statement is in the transaction: it is
// rolled back with it, committed with it, and marked.
func TestTheFirstStatementIsInTheTransaction(t *testing.T) {
	t.Parallel()
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		for name, door := range doors() {
			t.Run(fmt.Sprintf("%v/%s", method, name), func(t *testing.T) {
				t.Parallel()
				b, proxy := through(t, perdure.Config{}, perdurepgx.Config{Outcome: method})
				b.SetLateWithin(time.Hour)
				wantMarkers := 0
				if method == perdurepgx.Marker {
					b.migrate(t)
					wantMarkers = 1
				}
				if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "select $1::int", 1)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				late := faultproxytest.Add(t, proxy, faultproxy.Rule{Name: "late", Match: faultproxy.Match{Message: faultproxy.Execute, Text: faultproxy.Is("begin")}})
				err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
					if err := door.fn(ctx, tx); err != nil {
						return err
					}
					return errRolledBack
				})
				if !errors.Is(err, errRolledBack) || b.count(t, "t") != 0 {
					t.Errorf("InTx = %v with %d rows, want it rolled back", err, b.count(t, "t"))
				}
				markers := 0
				if method == perdurepgx.Marker {
					markers = b.count(t, "perdure.outcome")
				}
				if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, door.fn); err != nil || b.count(t, "t") != 1 {
					t.Errorf("InTx = %v with %d rows, want one", err, b.count(t, "t"))
				}
				if method == perdurepgx.Marker {
					markers = b.count(t, "perdure.outcome") - markers
				}
				if markers != wantMarkers {
					t.Errorf("%d markers, want %d", markers, wantMarkers)
				}
				want := 0
				if door.late {
					want = 2
				}
				if late.Hits() != want {
					t.Errorf("BEGIN went out with the first statement %d times, want %d", late.Hits(), want)
				}
			})
		}
	}
}

// A transaction in which nothing is sent is none, and leaves nothing behind.
func TestFunctionsThatSendNothing(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.SetLateWithin(time.Hour)
	var escaped pgx.Tx
	for name, tc := range map[string]struct {
		fn   func(ctx context.Context, tx pgx.Tx) error
		want error
	}{
		"returns nil":      {func(context.Context, pgx.Tx) error { return nil }, nil},
		"returns an error": {func(context.Context, pgx.Tx) error { return errRolledBack }, errRolledBack},
		"rolls back":       {func(ctx context.Context, tx pgx.Tx) error { return errors.Join(tx.Rollback(ctx), errRolledBack) }, errRolledBack},
		"rolls back, nil":  {func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) }, pgx.ErrTxClosed},
		"commits": {func(ctx context.Context, tx pgx.Tx) error {
			if tx.Commit(ctx) == nil {
				return nil
			}
			return errRolledBack
		}, errRolledBack},
		"lets the handle go": {func(_ context.Context, tx pgx.Tx) error { escaped = tx; return nil }, nil},
		"goes on after rolling back": {func(ctx context.Context, tx pgx.Tx) error {
			if err := tx.Rollback(ctx); err != nil {
				return err
			}
			return insert(7)(ctx, tx)
		}, pgx.ErrTxClosed},
	} {
		if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(0)); err == nil {
			b.exec(t, "delete from t")
		}
		err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, tc.fn)
		if !errors.Is(err, tc.want) {
			t.Errorf("a function that %s: InTx = %v, want %v", name, err, tc.want)
		}
		if _, err := b.Exec(t.Context(), "insert into t (id) values ($1)", 1); err != nil || b.count(t, "t") != 1 {
			t.Errorf("after a function that %s: Exec = %v with %d rows, want one: no BEGIN went before it", name, err, b.count(t, "t"))
		}
		b.exec(t, "delete from t")
	}
	if _, err := escaped.Exec(t.Context(), "insert into t (id) values ($1)", 8); !errors.Is(err, pgx.ErrTxClosed) {
		t.Errorf("Exec after InTx = %v, want %v", err, pgx.ErrTxClosed)
	}
	escaped.Conn()
	escaped.LargeObjects()
	func() {
		defer func() { _ = recover() }()
		_ = b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(context.Context, pgx.Tx) error { panic("before anything") })
	}()
	// The pool closes a connection, and looks after the idle ones, on goroutines of its own.
	eventually(t, time.Minute, "giving every connection back", func() bool { return b.Pool().Stat().AcquiredConns() == 0 })
	if _, err := b.Exec(t.Context(), "insert into t (id) values ($1)", 1); err != nil || b.count(t, "t") != 1 {
		t.Errorf("after a panic: Exec = %v with %d rows, want one", err, b.count(t, "t"))
	}
}

// A BEGIN that the server refuses keeps the statement behind it, and all that
// follow, from running outside the transaction.
func TestNothingRunsWithoutItsBegin(t *testing.T) {
	t.Parallel()
	for name, door := range doors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := through(t, perdure.Config{}, perdurepgx.Config{Outcome: perdurepgx.Token})
			b.SetLateWithin(time.Hour)
			if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(0)); err != nil {
				t.Fatal(err)
			}
			b.exec(t, "delete from t")
			runs := 0
			err := b.InTx(t.Context(), opLoad, pgx.TxOptions{IsoLevel: "what level"}, func(ctx context.Context, tx pgx.Tx) error {
				runs++
				for range 2 {
					if err := door.fn(ctx, tx); err == nil {
						t.Error("a statement without its BEGIN succeeded")
					}
				}
				return nil
			})
			if !isState(err, "42601") || runs > 1 || b.count(t, "t") != 0 {
				t.Errorf("InTx = %v after %d runs with %d rows, want a syntax error and nothing done", err, runs, b.count(t, "t"))
			}
		})
	}
}

// The server's error of the first statement is what decides about a repeat.
func TestTheFirstStatementsErrorDecides(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.SetLateWithin(time.Hour)
	b.flaky(t)
	runs := 0
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		runs++
		_, _ = tx.Exec(ctx, "select flaky() where $1 = 1", 1) // its error is kept back
		return insert(1)(ctx, tx)
	})
	if err != nil || runs != 3 || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v after %d runs with %d rows, want nil after 3 with one", err, runs, b.count(t, "t"))
	}
}

// Whoever discards what perdure has prepared costs it speed, and nothing else.
func TestDiscardedStatements(t *testing.T) {
	t.Parallel()
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		for name, tc := range map[string]struct {
			release string // sent when a connection goes back to the pool
			inside  string // sent by the function
		}{
			"when a connection goes back":        {release: "discard all"},
			"inside, as a statement":             {inside: "deallocate all"},
			"inside, where nobody sees it":       {inside: "do $$ begin execute 'deallocate all'; end $$"},
			"read only, where nobody sees it":    {inside: "select set_config('transaction_read_only', 'on', true)"},
			"read only, as a statement":          {inside: "set transaction read only"},
			"read only by default, a statement":  {release: "set default_transaction_read_only = on; set default_transaction_read_only = off"},
			"the name of a statement was in use": {release: "deallocate all; prepare perdure_mark as select 1; prepare perdure_xid as select 1"},
		} {
			t.Run(method.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				direct := server.Database(t)
				b := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{Outcome: method}, func(c *pgxpool.Config) {
					c.MaxConns = 1
					c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // pgx's own cache would suffer too
					if tc.release != "" {
						c.AfterRelease = func(conn *pgx.Conn) bool {
							_, err := conn.PgConn().Exec(t.Context(), tc.release).ReadAll()
							return err == nil || t.Context().Err() != nil
						}
					}
				})
				b.SetLateWithin(time.Hour)
				b.exec(t, "create table t (id bigint primary key)")
				if method == perdurepgx.Marker {
					b.migrate(t)
				}
				const calls = 4
				for i := range calls {
					err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
						if err := insert(i)(ctx, tx); err != nil || tc.inside == "" {
							return err
						}
						_, err := tx.Exec(ctx, tc.inside)
						return err
					})
					if tc.inside != "" && method == perdurepgx.Marker && isState(err, "25006") {
						b.exec(t, "insert into t values ($1)", i) // as without perdure's INSERT: it cannot be marked
						continue
					}
					if err != nil {
						t.Fatalf("InTx %d = %v", i, err)
					}
				}
				if n := b.count(t, "t"); n != calls {
					t.Errorf("%d rows, want %d", n, calls)
				}
			})
		}
	}
}

// What has not been written is committed under READ ONLY, however it came about.
func TestReadOnlyWithoutAWrite(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	b.SetLateWithin(time.Hour)
	for _, sql := range []string{"select set_config('transaction_read_only', 'on', true)", "set transaction read only", "select 1"} {
		for _, opts := range []pgx.TxOptions{{}, {AccessMode: pgx.ReadOnly}, {IsoLevel: pgx.Serializable}} {
			err := b.InTx(t.Context(), opLoad, opts, func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "select $1::int", 1); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, sql)
				return err
			})
			if err != nil {
				t.Errorf("InTx(%+v) with %s = %v, want nil", opts, sql, err)
			}
		}
	}
}

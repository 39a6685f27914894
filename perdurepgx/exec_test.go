package perdurepgx_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pgerr"
)

// A lost reply executes an autocommit write twice in a peer, and reports success.
func TestP13LostReplyExecutesAWriteOnce(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]any{"simple protocol": nil, "with arguments": {7}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
			b.exec(t, "create table w (v int)")
			sql := "insert into w (v) values (7)"
			if args != nil {
				sql = "insert into w (v) values ($1)"
			}
			lost := faultproxy.Rule{
				Name: "reply", Count: 1, Action: faultproxy.FIN,
				Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.HasPrefix("INSERT")},
			}
			faultproxytest.Add(t, proxy, lost)
			_, err := b.Exec(t.Context(), sql, args...)
			e, ok := errors.AsType[*perdure.Error](err)
			if !ok || e.Reason != perdure.ReasonNotIdempotent || e.Verdict.Effect != pgerr.EffectUnknown || e.Verdict.Category != pgerr.CategoryConnection {
				t.Errorf("Exec = %v (%+v), want not_idempotent with an unknown effect", err, e)
			}
			if n := b.count(t, "w"); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
			lost.Name = "again"
			faultproxytest.Add(t, proxy, lost)
			ctx := perdure.WithOp(t.Context(), perdure.Op{Name: "test.idempotent", Idempotent: true})
			if _, err := b.Exec(ctx, sql, args...); err != nil {
				t.Errorf("Exec of an idempotent op = %v, want nil", err)
			}
			if n := b.count(t, "w"); n != 3 {
				t.Errorf("%d rows, want 3: an idempotent op is repeated", n)
			}
		})
	}
}

// flaky makes a function and a procedure that fail with 40001 until the n-th call.
func (b *bench) flaky(tb testing.TB) {
	tb.Helper()
	b.exec(tb, "create sequence calls")
	const body = " language plpgsql as $$ begin if nextval('calls') < 3 then raise exception using errcode = '40001'; end if; end $$"
	b.exec(tb, "create function flaky() returns void"+body)
	b.exec(tb, "create procedure flaky_proc()"+body)
}

func TestRefusedStatementsAreRepeated(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.flaky(t)
	ctx := t.Context()
	for name, run := range map[string]func() error{
		"Exec":     func() error { _, err := b.Exec(ctx, "select flaky()"); return err },
		"QueryRow": func() error { return b.QueryRow(ctx, "select flaky()").Scan(nil) },
		"Query": func() error {
			rows, err := b.Query(ctx, "select flaky()")
			if err != nil {
				return err
			}
			defer rows.Close()
			if !rows.Next() || rows.Next() {
				return errors.New("want one row")
			}
			return rows.Err()
		},
		"SendBatch, closed": func() error {
			batch := &pgx.Batch{}
			batch.Queue("select 1")
			batch.Queue("select flaky()")
			return b.SendBatch(ctx, batch).Close()
		},
		"SendBatch, read": func() error {
			batch := &pgx.Batch{}
			batch.Queue("select flaky()")
			batch.Queue("select 2")
			results := b.SendBatch(ctx, batch)
			defer results.Close()
			if _, err := results.Exec(); err != nil {
				return err
			}
			var two int
			if err := results.QueryRow().Scan(&two); err != nil || two != 2 {
				return errors.Join(err, errors.New("want 2"))
			}
			return results.Close()
		},
		"SendBatch with a function": func() error {
			batch := &pgx.Batch{}
			called := 0
			batch.Queue("select flaky()").Exec(func(pgconn.CommandTag) error { called++; return nil })
			batch.Queue("select 2").QueryRow(func(row pgx.Row) error { called++; return row.Scan(nil) })
			if err := b.SendBatch(ctx, batch).Close(); err != nil || called != 2 {
				return errors.Join(err, errors.New("want both functions called once"))
			}
			return nil
		},
	} {
		b.exec(t, "alter sequence calls restart")
		if err := run(); err != nil {
			t.Errorf("%s = %v, want nil after two refusals", name, err)
		}
		b.checkCalls(t, name, 3)
	}
	b.exec(t, "alter sequence calls restart")
	_, err := b.Exec(ctx, "call flaky_proc()")
	if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonNotIdempotent {
		t.Errorf("CALL = %v, want not_idempotent: it may have committed in between", err)
	}
	b.checkCalls(t, "CALL", 1)
	b.exec(t, "alter sequence calls restart")
	if _, err := b.Exec(ctx, "select 1; select flaky()"); err == nil {
		t.Error("several statements in one string = nil, want an error")
	}
	b.checkCalls(t, "two statements", 1)
}

func (b *bench) checkCalls(t *testing.T, what string, want int) {
	t.Helper()
	var n int
	if err := b.check.QueryRow(t.Context(), "select last_value from calls").Scan(&n); err != nil || n != want {
		t.Errorf("%s: %d calls (%v), want %d", what, n, err, want)
	}
}

func TestErrorsComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	var n int
	if err := b.QueryRow(t.Context(), "select id from t").Scan(&n); err != pgx.ErrNoRows { //nolint:errorlint // untouched is the point
		t.Errorf("QueryRow = %v, want pgx.ErrNoRows itself", err)
	}
	if _, err := b.Exec(t.Context(), "selec"); !isState(err, "42601") {
		t.Errorf("Exec = %v, want 42601", err)
	}
	rows, err := b.Query(t.Context(), "select 1 / (3 - i) from generate_series(1, 5) i")
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for rows.Next() {
		got++
	}
	if err := rows.Err(); !isState(err, "22012") {
		t.Errorf("Rows.Err = %v after %d rows, want 22012", err, got)
	}
	if s := b.Pool().Stat(); s.AcquiredConns() != 0 {
		t.Errorf("%d connections are still in use", s.AcquiredConns())
	}
	rows, err = b.Query(t.Context(), "select i from generate_series(1, 5) i")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := pgx.CollectRows(rows, pgx.RowTo[int]); err != nil || len(all) != 5 || all[0] != 1 {
		t.Errorf("CollectRows = %v, %v, want 1 to 5", all, err)
	}
}

func isState(err error, state string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == state
}

func TestRestartCostsNoCallerAnError(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	b := openAt(t, c.URL("postgres"), "", perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) { p.MaxConns = 4 })
	ctx := t.Context()
	for _, mode := range []pgcluster.StopMode{pgcluster.Fast, pgcluster.Immediate} {
		var held []*pgxpool.Conn
		for range 4 {
			conn, err := b.Pool().Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			conn.Release()
		}
		if err := c.Stop(ctx, mode); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(ctx); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			// Neither of these could be repeated after a lost connection.
			if _, err := b.Exec(ctx, "create table if not exists r (v int); insert into r values (1)"); err != nil {
				t.Errorf("Exec after a restart = %v, want nil", err)
			}
			if _, err := b.Pool().Exec(ctx, "insert into r values (1)"); err != nil {
				t.Errorf("Exec on the bare pool after a restart = %v, want nil", err)
			}
		}
	}
}

func TestExpiredStatementIsCancelledOnTheServer(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := b.Exec(ctx, "select pg_sleep(60)")
	if !errors.Is(err, context.DeadlineExceeded) || !isState(err, "57014") {
		t.Errorf("Exec = %v, want the deadline and the server's 57014", err)
	}
	var n int
	if err := b.check.QueryRow(t.Context(), "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' "+
		"and pid <> pg_backend_pid()").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d statements still run (%v), want none", n, err)
	}
}

func TestPoolExhaustedIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	b := openAt(t, server.Database(t), "", perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) { p.MaxConns = 1 })
	conn, err := b.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = b.Exec(ctx, "select 1")
	if full, ok := errors.AsType[*perdurepgx.PoolExhaustedError](err); !ok || full.MaxConns != 1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Exec = %v, want a PoolExhaustedError that is the deadline", err)
	}
	nowhere := openAt(t, "postgres://postgres@127.0.0.1:1/x?sslmode=disable", "", perdure.Config{}, perdurepgx.Config{}, nil)
	_, err = nowhere.Exec(t.Context(), "select 1")
	if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Verdict.Category != pgerr.CategoryConnection || e.Verdict.Effect != pgerr.EffectNone {
		t.Errorf("Exec = %v, want a connection error without effect", err)
	}
}

// source is a source of rows that may be able to start over.
type source struct {
	rows int
	next int
}

func (s *source) Next() bool             { s.next++; return s.next <= s.rows }
func (s *source) Values() ([]any, error) { return []any{s.next, "x"}, nil }
func (s *source) Err() error             { return nil }

type rewindable struct{ source }

func (s *rewindable) Rewind() error { s.next = 0; return nil }

func TestCopyIsRepeatedOnlyFromTheStart(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.flaky(t)
	b.exec(t, "create function trip() returns trigger language plpgsql as $$ begin perform flaky(); return new; end $$")
	b.exec(t, "create trigger trip before insert on t for each statement execute function trip()")
	table := pgx.Identifier{"t"}
	_, err := b.CopyFrom(t.Context(), table, []string{"id", "v"}, &source{rows: 10})
	if !isState(err, "40001") || b.count(t, "t") != 0 {
		t.Errorf("CopyFrom of a consumed source = %v with %d rows, want 40001 and none", err, b.count(t, "t"))
	}
	b.exec(t, "alter sequence calls restart")
	n, err := b.CopyFrom(t.Context(), table, []string{"id", "v"}, &rewindable{source{rows: 10}})
	if err != nil || n != 10 || b.count(t, "t") != 10 {
		t.Errorf("CopyFrom of a source that rewinds = %d, %v with %d rows, want 10", n, err, b.count(t, "t"))
	}
}

// What is written long after its connection was taken must not look as if it
// had waited for its server since then.
func TestOnlyAStatementAtOnceBeginsWithItsConnection(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	const sql = "select $1::int"
	if _, err := b.Exec(t.Context(), sql, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exec(t.Context(), sql, make(chan int)); err == nil { // fails before it is written
		t.Fatal("a channel was sent to the server")
	}
	conns := b.Pool().AcquireAllIdle(t.Context())
	if len(conns) == 0 {
		t.Error("no connection is idle")
	}
	for _, c := range conns {
		if at := perdurepgx.Begins(c); at != 0 {
			t.Errorf("what is sent past perdure would begin at %s, want by the clock", at)
		}
		c.Release()
	}
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(_ context.Context, tx pgx.Tx) error {
		if at := perdurepgx.BeginsInTx(tx); at != 0 {
			t.Errorf("the first statement of a transaction would begin at %s, want by the clock", at)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

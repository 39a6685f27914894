package perdurepgx_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.ParseConfig("postgres://127.0.0.1:1/x")
	if err != nil {
		t.Fatal(err)
	}
	faulty := perdurepgx.Config{Outcome: 9, CommitTimeout: -1, Ops: []perdure.Op{{Name: "a"}, {Name: "a"}, {}}}
	unpooled := pool.Copy()
	unpooled.ConnConfig = nil
	for name, tc := range map[string]struct {
		pool *pgxpool.Config
		m    *perdure.Manager
		cfg  perdurepgx.Config
		want []string
	}{
		"no pool":             {nil, m, perdurepgx.Config{}, []string{"the pool's Config is nil"}},
		"no connection":       {unpooled, m, perdurepgx.Config{}, []string{"has no ConnConfig"}},
		"no Manager":          {pool, nil, perdurepgx.Config{}, []string{"the Manager is nil"}},
		"faults, all of them": {pool, m, faulty, []string{"outcome: 9", "commit_timeout", `"a" is there twice`, "ops[2]"}},
	} {
		db, err := perdurepgx.Open(t.Context(), tc.pool, tc.m, tc.cfg)
		if err == nil {
			db.Close()
			t.Errorf("%s: Open() = nil, want an error", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Open() = %v, want %q in it", name, err, want)
			}
		}
	}
	for o, want := range map[perdurepgx.Outcome]string{perdurepgx.Auto: "auto", perdurepgx.Token: "token", perdurepgx.Marker: "marker", 9: "Outcome(9)"} {
		if got := o.String(); got != want {
			t.Errorf("Outcome.String() = %q, want %q", got, want)
		}
	}
}

// The hooks of the caller's pool run beside perdure's, and their errors count.
func TestTheCallersHooksStayInUse(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	var before, after, prepared, acquired, closed, notices, refused atomic.Int32
	var failing atomic.Pointer[string]
	hook := func(name string, n *atomic.Int32) error {
		n.Add(1)
		if f := failing.Load(); f != nil && *f == name {
			return errors.New(name + " fails")
		}
		return nil
	}
	b := openAt(t, direct, direct, perdure.Config{Policy: perdure.Policy{MaxAttempts: 1}}, perdurepgx.Config{}, func(c *pgxpool.Config) {
		c.MaxConns = 1
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return hook("before", &before) }
		c.AfterConnect = func(context.Context, *pgx.Conn) error { return hook("after", &after) }
		c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { return true, hook("prepare", &prepared) }
		c.BeforeClose = func(*pgx.Conn) { closed.Add(1) }
		c.ConnConfig.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { notices.Add(1) }
		c.ConnConfig.OnPgError = func(*pgconn.PgConn, *pgconn.PgError) bool { refused.Add(1); return true }
	})
	if _, err := b.Exec(t.Context(), "do $$ begin raise notice 'n'; end $$"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Exec(t.Context(), "select 1/0"); !isState(err, "22012") {
		t.Errorf("Exec = %v, want 22012", err)
	}
	for name, n := range map[string]int32{
		"BeforeConnect": before.Load(), "AfterConnect": after.Load(), "PrepareConn": prepared.Load(), "OnNotice": notices.Load(), "OnPgError": refused.Load(),
	} {
		if n == 0 {
			t.Errorf("%s was not called", name)
		}
	}
	for _, name := range []string{"prepare", "before", "after"} {
		if name != "prepare" {
			b.Pool().Reset() // the next call connects anew
		}
		failing.Store(&name)
		if _, err := b.Exec(t.Context(), "select 1"); err == nil || !strings.Contains(err.Error(), name+" fails") {
			t.Errorf("Exec = %v, want the error of the hook %s", err, name)
		}
		failing.Store(nil)
	}
	if closed.Load() == 0 {
		t.Error("BeforeClose was not called")
	}

	old := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{}, func(c *pgxpool.Config) {
		c.BeforeAcquire = func(context.Context, *pgx.Conn) bool { acquired.Add(1); return true } //nolint:staticcheck // deprecated, and in use all the same
	})
	if _, err := old.Exec(t.Context(), "select 1"); err != nil || acquired.Load() == 0 {
		t.Errorf("Exec = %v, BeforeAcquire called %d times", err, acquired.Load())
	}
}

// The rows of a query that failed hold its error, and nothing else.
func TestTheRowsOfAFailedQuery(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	b := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{}, nil)
	check := func(where string, rows pgx.Rows, err error, want func(error) bool) {
		t.Helper()
		_, values := rows.Values()
		for name, got := range map[string]error{"error": err, "Err": rows.Err(), "Scan": rows.Scan(), "Values": values} {
			if !want(got) {
				t.Errorf("%s: %s = %v", where, name, got)
			}
		}
		if rows.Next() || rows.FieldDescriptions() != nil || rows.RawValues() != nil || rows.CommandTag().String() != "" {
			t.Errorf("%s: the rows hold something", where)
		}
		_, _ = rows.Conn(), rows.TypeMap()
		rows.Close()
	}
	rows, err := b.Query(t.Context(), "select nonsense")
	check("Query", rows, err, func(err error) bool { return isState(err, "42703") })
	var escaped pgx.Tx
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(_ context.Context, tx pgx.Tx) error { escaped = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	ended := func(err error) bool { return errors.Is(err, pgx.ErrTxClosed) }
	rows, err = escaped.Query(t.Context(), "select 1")
	check("Query after InTx", rows, err, ended)
	if err := escaped.QueryRow(t.Context(), "select 1").Scan(nil); !ended(err) {
		t.Errorf("QueryRow after InTx = %v", err)
	}
	if _, err := escaped.Prepare(t.Context(), "p", "select 1"); !ended(err) {
		t.Errorf("Prepare after InTx = %v", err)
	}
	if _, err := escaped.Begin(t.Context()); !ended(err) {
		t.Errorf("Begin after InTx = %v", err)
	}
	if _, err := escaped.CopyFrom(t.Context(), pgx.Identifier{"t"}, nil, nil); !ended(err) {
		t.Errorf("CopyFrom after InTx = %v", err)
	}
	if err := escaped.SendBatch(t.Context(), &pgx.Batch{}).Close(); !ended(err) {
		t.Errorf("SendBatch after InTx = %v", err)
	}
	if err := escaped.Rollback(t.Context()); !ended(err) {
		t.Errorf("Rollback after InTx = %v", err)
	}
	err = b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		for name, send := range map[string]func() error{
			"Exec": func() error { _, err := tx.Exec(ctx, "commit"); return err },
			"Query": func() error {
				rows, err := tx.Query(ctx, "commit")
				rows.Close()
				return err
			},
			"QueryRow": func() error { return tx.QueryRow(ctx, "rollback").Scan(nil) },
			"Prepare":  func() error { _, err := tx.Prepare(ctx, "p", "commit"); return err },
			"batch": func() error {
				batch := &pgx.Batch{}
				batch.Queue("commit")
				return tx.SendBatch(ctx, batch).Close()
			},
		} {
			if err := send(); err == nil {
				t.Errorf("%s of what ends the transaction succeeded", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("InTx = %v after what was refused before it was sent, want nil", err)
	}
}

package perdurepgx_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

func TestTransactionIsJudgedByWhatAbortedIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fn       func(ctx context.Context, tx pgx.Tx) error
		attempts int
		state    string // of the error; "" for success
	}{
		"a swallowed 40001 is repeated": {func(ctx context.Context, tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "select flaky()")
			return nil
		}, 3, ""},
		"a swallowed 40001 under a 25P02 is repeated": {func(ctx context.Context, tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "select flaky()")
			_, err := tx.Exec(ctx, "select 1")
			return err
		}, 3, ""},
		"a swallowed permanent error is returned": {func(ctx context.Context, tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "select 1/0")
			_, _ = tx.Exec(ctx, "select 1")
			return nil
		}, 1, "22012"},
		"an error under a savepoint that was rolled back is forgotten": {func(ctx context.Context, tx pgx.Tx) error {
			sp, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			_, _ = sp.Exec(ctx, "select 1/0")
			return sp.Rollback(ctx)
		}, 1, ""},
		"a deferred constraint fails at COMMIT": {func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "insert into d values (1), (1)")
			return err
		}, 1, "23505"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
			b.flaky(t)
			b.exec(t, "create table d (v int unique deferrable initially deferred)")
			attempts := 0
			err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
				attempts++
				return tc.fn(ctx, tx)
			})
			if (err != nil) != (tc.state != "") || tc.state != "" && !isState(err, tc.state) || attempts != tc.attempts {
				t.Errorf("InTx = %v after %d attempts, want %q after %d", err, attempts, tc.state, tc.attempts)
			}
			if s := b.Pool().Stat(); s.AcquiredConns() != 0 {
				t.Errorf("%d connections are still in use", s.AcquiredConns())
			}
		})
	}
}

func TestTransactionIsUsedAsMeant(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	b := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) { p.MaxConns = 1 })
	b.exec(t, "create table t (id bigint)")
	ctx := t.Context()
	var kept pgx.Tx
	for name, fn := range map[string]func(ctx context.Context, tx pgx.Tx) error{
		"commit inside": func(ctx context.Context, tx pgx.Tx) error {
			return errors.Join(insert(1)(ctx, tx), tx.Commit(ctx))
		},
		"rollback inside": func(ctx context.Context, tx pgx.Tx) error {
			return errors.Join(insert(1)(ctx, tx), tx.Rollback(ctx))
		},
		"nested InTx": func(ctx context.Context, tx pgx.Tx) error {
			return b.InTx(ctx, opLoad, pgx.TxOptions{}, insert(2))
		},
		"nested Once": func(ctx context.Context, tx pgx.Tx) error {
			_, err := perdurepgx.Once(ctx, b.DB, opLoad, "k", func(context.Context, pgx.Tx) (int, error) { return 1, nil })
			return err
		},
		"rows left open": func(ctx context.Context, tx pgx.Tx) error {
			_ = insert(1)(ctx, tx)
			_, err := tx.Query(ctx, "select generate_series(1, 1000)") //nolint:sqlclosecheck // the fault itself
			return err
		},
		"rollback as a statement": func(ctx context.Context, tx pgx.Tx) error {
			_ = insert(1)(ctx, tx)
			_, err := tx.Exec(ctx, "rollback")
			return err
		},
	} {
		if err := b.InTx(ctx, opLoad, pgx.TxOptions{}, fn); err == nil {
			t.Errorf("%s: InTx = nil, want an error", name)
		}
		if n := b.count(t, "t"); n != 0 {
			t.Fatalf("%s: %d rows, want none", name, n)
		}
	}
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = b.InTx(ctx, opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			_ = insert(1)(ctx, tx)
			panic("boom")
		})
	}()
	if err := b.InTx(ctx, opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error { kept = tx; return nil }); err != nil {
		t.Error(err)
	}
	if _, err := kept.Exec(ctx, "insert into t values (9)"); !errors.Is(err, pgx.ErrTxClosed) {
		t.Errorf("a Tx that was kept: Exec = %v, want pgx.ErrTxClosed", err)
	}
	attempts := 0
	err := b.InTx(ctx, perdure.Op{Name: "test.read", ReadOnly: true}, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		attempts++
		return insert(1)(ctx, tx)
	})
	if !isState(err, "25006") || attempts != 1 {
		t.Errorf("InTx of a ReadOnly op that writes = %v after %d attempts, want 25006 after one", err, attempts)
	}
	if n := b.count(t, "t"); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func TestCallersCancelEndsATransactionBeforeCommit(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	err := b.InTx(ctx, opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		defer cancel(cause)
		return insert(1)(ctx, tx)
	})
	if !errors.Is(err, cause) || b.count(t, "t") != 0 {
		t.Errorf("InTx = %v with %d rows, want the cause and none", err, b.count(t, "t"))
	}
	// Once COMMIT is on its way, the end of the caller's context decides nothing.
	b.migrate(t)
	ctx, end := context.WithCancel(t.Context())
	b.exec(t, "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.3); return null; end $$")
	b.exec(t, "create constraint trigger slow after insert on t initially deferred for each row execute function slow()")
	go func() {
		// The COMMIT runs as soon as the row's transaction is in the trigger.
		for {
			var n int
			_ = b.check.QueryRow(context.WithoutCancel(ctx), "select count(*) from pg_stat_activity where wait_event = 'PgSleep'").Scan(&n)
			if n > 0 {
				end()
				return
			}
		}
	}()
	err = b.InTx(ctx, opLoad, pgx.TxOptions{}, insert(2))
	<-ctx.Done()
	if err != nil || len(b.seen.take()) != 0 {
		t.Errorf("InTx = %v, want nil: its COMMIT was answered", err)
	}
}

func TestTwinsRunOnce(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	b := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{}, nil)
	b.exec(t, "create table t (id bigint)")
	b.migrate(t)
	other := openAt(t, direct, "", perdure.Config{}, perdurepgx.Config{}, nil)
	var wg sync.WaitGroup
	const twins = 6
	got := make([]int, twins)
	errs := make([]error, twins)
	for i := range twins {
		db := b.DB
		if i%2 == 1 {
			db = other.DB
		}
		wg.Go(func() {
			got[i], errs[i] = perdurepgx.Once(t.Context(), db, opLoad, "twin", func(ctx context.Context, tx pgx.Tx) (int, error) {
				_, err := tx.Exec(ctx, "insert into t select 1 from pg_sleep(0.1)")
				return 100 + i, err
			})
		})
	}
	wg.Wait()
	for i := range twins {
		if errs[i] != nil || got[i] != got[0] || got[0] < 100 {
			t.Errorf("twin %d = %d, %v, want %d", i, got[i], errs[i], got[0])
		}
	}
	if n := b.count(t, "t"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	run := 0
	for _, e := range append(b.seen.take(), other.seen.take()...) {
		if e.Resolution == perdure.Run {
			run++
		}
	}
	if run != 1 {
		t.Errorf("run %d times, want 1", run)
	}
}

func TestOnceWaitsForItsTwinWithinBounds(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	b := openAt(t, direct, direct, perdure.Config{Policy: perdure.Policy{MaxAttempts: 2}}, perdurepgx.Config{TwinTimeout: 50 * time.Millisecond}, nil)
	b.migrate(t)
	b.exec(t, "begin")
	b.exec(t, "select perdure.begin_once('held', '00000000-0000-7000-8000-000000000000', 1000)")
	_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "held", func(context.Context, pgx.Tx) (int, error) { return 1, nil })
	b.exec(t, "rollback")
	if !isState(err, "55P03") {
		t.Errorf("Once = %v, want 55P03", err)
	}
}

func TestOnceRefusesBadKeys(t *testing.T) {
	t.Parallel()
	b := openAt(t, server.Database(t), "", perdure.Config{}, perdurepgx.Config{}, nil)
	for _, key := range []string{"", "a\x00b", "\xff", string(make([]byte, 2000))} {
		if _, err := perdurepgx.Once(t.Context(), b.DB, opLoad, key, func(context.Context, pgx.Tx) (int, error) { return 1, nil }); err == nil {
			t.Errorf("Once(%.10q) = nil, want an error", key)
		}
	}
	_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(context.Context, pgx.Tx) (int, error) { return 1, nil })
	if err == nil {
		t.Error("Once without the table = nil, want an error")
	}
	b.migrate(t)
	_, err = perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(context.Context, pgx.Tx) (any, error) { return make(chan int), nil })
	if err == nil {
		t.Error("Once with a result that JSON cannot hold = nil, want an error")
	}
	got, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(context.Context, pgx.Tx) (*int, error) { return nil, nil }) //nolint:nilnil // null is a result
	if got != nil || err != nil {
		t.Errorf("Once = %v, %v, want nil", got, err)
	}
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	var wg sync.WaitGroup
	for range 4 {
		b := openAt(t, url, "", perdure.Config{}, perdurepgx.Config{}, nil)
		wg.Go(func() {
			for range 2 {
				if err := b.Migrate(t.Context()); err != nil {
					t.Errorf("Migrate = %v", err)
				}
			}
			if got := b.Outcome(); got != perdurepgx.Marker {
				t.Errorf("Outcome() = %v, want marker", got)
			}
		})
	}
	wg.Wait()
}

func TestMarkerSurvivesSetRole(t *testing.T) {
	t.Parallel()
	b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	b.exec(t, "do $$ begin create role perdure_nobody; exception when duplicate_object then null; end $$")
	b.exec(t, "grant insert on t to perdure_nobody")
	faultproxytest.Add(t, proxy, faultproxy.Rule{
		Name: "reply", Count: 1, Action: faultproxy.FIN,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	})
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local role perdure_nobody"); err != nil {
			return err
		}
		return insert(1)(ctx, tx)
	})
	seen := b.seen.take()
	if err != nil || len(seen) != 1 || seen[0].Resolution != perdure.Committed || seen[0].Method != "marker" {
		t.Errorf("InTx = %v, outcomes %+v, want committed by marker", err, seen)
	}
	b.exec(t, "revoke all on t from perdure_nobody")
}

func TestMarkersAreWrittenOnlyForChanges(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	markers := func(sql string) int {
		before := b.count(t, "perdure.outcome")
		err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint leaves none
				_, err := tx.Exec(ctx, sql)
				return err
			})
		})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		return b.count(t, "perdure.outcome") - before
	}
	for sql, want := range map[string]int{
		"select 1": 0, "update t set v = 'x' where false": 0, "insert into t (id) values (1)": 1, "notify x": 1, "select pg_notify('x', '')": 1,
	} {
		if got := markers(sql); got != want {
			t.Errorf("%s leaves %d markers, want %d", sql, got, want)
		}
	}
	b.exec(t, "drop schema perdure cascade")
	if got, want := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(2)), error(nil); got != want { //nolint:errorlint // nil
		t.Errorf("InTx after the table is gone = %v, want nil by Token", got)
	}
	if got := b.Outcome(); got != perdurepgx.Token {
		t.Errorf("Outcome() = %v, want token", got)
	}
}

package perdurepgx_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pgerr"
)

// A key that is forgotten while its COMMIT is in doubt does not make the commit undone.
func TestForgottenKeyOfADoubt(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	var b *bench
	var proxy *faultproxy.Proxy
	proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{OnFault: func(faultproxy.Fault) {
		proxy.Refuse(true)
		proxy.CutAll(faultproxy.RST)
		b.exec(t, "select perdure.forget('{k}')")
		proxy.Refuse(false)
	}})
	b = openAt(t, url, direct, perdure.Config{}, perdurepgx.Config{}, nil)
	b.exec(t, "create table t (id bigint)")
	b.migrate(t)
	reply := replyLost(0)
	reply.Action = faultproxy.Notify
	faultproxytest.Add(t, proxy, reply)
	runs := 0
	_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) {
		runs++
		return 1, insert(1)(ctx, tx)
	})
	if err != nil || runs != 1 || b.count(t, "t") != 1 {
		t.Errorf("Once = %v after %d runs with %d rows, want nil after 1 with 1", err, runs, b.count(t, "t"))
	}
}

// Who gives up after a COMMIT that is proven to be rolled back says that nothing happened, and not
// that something may have.
func TestAProvenRollbackHasNoEffect(t *testing.T) {
	t.Parallel()
	b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	kept := faultproxy.Rule{Name: "kept", Count: 1, Action: faultproxy.RST, Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}}
	cut := faultproxy.Rule{Name: "cut", Count: 1, Action: faultproxy.RST, Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.HasPrefix("insert")}}
	for _, r := range []faultproxy.Rule{kept, cut} {
		h := faultproxytest.Add(t, proxy, r)
		op := perdure.Op{Name: "test.once", Policy: &perdure.Policy{MaxAttempts: 1}}
		err := b.InTx(t.Context(), op, pgx.TxOptions{}, insert(1))
		e, ok := errors.AsType[*perdure.Error](err)
		if !ok || errors.Is(err, perdure.ErrOutcomeUnknown) || e.Verdict.Effect != pgerr.EffectNone || h.Hits() != 1 {
			t.Errorf("%s: InTx = %v after %d faults, want an error whose verdict has no effect", r.Name, err, h.Hits())
		}
		h.Remove()
	}
	if n := b.count(t, "t"); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// A marker is as old as its COMMIT, not as its transaction: a long one must not
// be pruned before it was asked for.
func TestMarkerIsAsOldAsItsCommit(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	var worked time.Time
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if err := insert(1)(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "select clock_timestamp()").Scan(&worked)
	})
	var at time.Time
	if err := b.check.QueryRow(t.Context(), "select at from perdure.outcome").Scan(&at); err != nil {
		t.Fatal(err)
	}
	if err != nil || at.Before(worked) {
		t.Errorf("InTx = %v, its marker is of %v, before its work of %v", err, at, worked)
	}
}

func TestPruneKeepsUp(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	b.exec(t, "insert into perdure.outcome (attempt, at) select gen_random_uuid(), now() - interval '2 days' from generate_series(1, 12000)")
	b.Prune()
	if n := b.count(t, "perdure.outcome"); n != 0 {
		t.Errorf("%d markers of two days ago are left, want none", n)
	}
}

// A connection that was made before another process called Migrate finds the table.
func TestTableOfAnotherProcess(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	one := func(p *pgxpool.Config) { p.MaxConns = 1 }
	for _, method := range []perdurepgx.Outcome{perdurepgx.Auto, perdurepgx.Marker} {
		early := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{Outcome: method}, one)
		work := func() error {
			_, err := perdurepgx.Once(t.Context(), early.DB, opLoad, "k", func(context.Context, pgx.Tx) (int, error) { return 1, nil })
			return err
		}
		if err := work(); err == nil {
			t.Fatal("Once without the table = nil, want an error")
		}
		openAt(t, direct, "", perdure.Config{}, perdurepgx.Config{}, one).migrate(t)
		if err := work(); err != nil {
			t.Errorf("%v: Once = %v once another process has made the table", method, err)
		}
		early.exec(t, "drop schema perdure cascade")
	}
}

// CommitTimeout also bounds the writing of a COMMIT, for a long result may not
// fit into the socket of a server that is frozen.
func TestCommitThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	b := openAt(t, c.URL("postgres"), c.URL("postgres"), patient(), perdurepgx.Config{CommitTimeout: 300 * time.Millisecond}, nil)
	b.migrate(t)
	frozen := make(chan int, 1)
	done := make(chan error, 1)
	runs := 0
	go func() {
		_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (string, error) {
			runs++
			if runs > 1 {
				return "", nil
			}
			pid := int(tx.Conn().PgConn().PID())
			err := c.FreezeBackend(pid)
			frozen <- pid
			return strings.Repeat("x", 32<<20), err
		})
		done <- err
	}()
	pid := <-frozen
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	// Either some of it was written, and the resolver asks what became of it; or
	// none was, and the next attempt has begun.
	const given = `select exists (select from pg_stat_activity where pid not in (pg_backend_pid(), $1)
		and (query like '%perdure.resolve(a)%' or query like '%perdure.begin_once(%'))`
	for asked := false; !asked; {
		select {
		case <-limit.C:
			t.Error("COMMIT is still being written")
			asked = true
		default:
			if err := b.check.QueryRow(t.Context(), given, pid).Scan(&asked); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.ThawBackend(pid); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || runs != 2 {
		t.Errorf("Once = %v after %d runs, want nil after 2", err, runs)
	}
}

// Close waits for what became of each COMMIT.
func TestCloseWaitsForDoubts(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	lost := make(chan struct{})
	var proxy *faultproxy.Proxy
	proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{OnFault: func(faultproxy.Fault) {
		proxy.Refuse(true)
		proxy.CutAll(faultproxy.RST)
		close(lost)
	}})
	b := openAt(t, url, direct, perdure.Config{}, perdurepgx.Config{}, nil)
	b.exec(t, "create table t (id bigint)")
	b.migrate(t)
	reply := replyLost(0)
	reply.Action = faultproxy.Notify
	faultproxytest.Add(t, proxy, reply)
	done, closed := make(chan error, 1), make(chan struct{})
	go func() { done <- b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1)) }()
	<-lost
	go func() {
		b.Close()
		close(closed)
	}()
	pause := time.NewTimer(300 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-closed:
		t.Error("Close returned before the outcome was known")
	case <-pause.C:
	}
	proxy.Refuse(false)
	if err := <-done; err != nil || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v with %d rows, want nil and 1", err, b.count(t, "t"))
	}
	<-closed
	calls := 0
	b.m.AddHooks(perdure.Hooks{AttemptEnd: func(context.Context, perdure.AttemptEvent) { calls++ }})
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(2)); err == nil || calls > 1 {
		t.Errorf("InTx after Close = %v after %d attempts, want an error after one", err, calls)
	}
}

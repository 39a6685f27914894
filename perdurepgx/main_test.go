package perdurepgx_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// outcomes collects what the CommitOutcome hook tells.
type outcomes struct {
	mu  sync.Mutex
	all []perdure.OutcomeEvent
}

func (o *outcomes) take() []perdure.OutcomeEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.all
	o.all = nil
	return all
}

// bench is a guarded database with its Manager and a direct connection.
type bench struct {
	*perdurepgx.DB

	m     *perdure.Manager
	seen  *outcomes
	check *pgx.Conn
}

func openAt(tb testing.TB, url, directURL string, mcfg perdure.Config, cfg perdurepgx.Config, change func(*pgxpool.Config)) *bench {
	tb.Helper()
	ctx := tb.Context()
	b := &bench{seen: &outcomes{}}
	mcfg.Hooks = perdure.JoinHooks(mcfg.Hooks, perdure.Hooks{CommitOutcome: func(_ context.Context, e perdure.OutcomeEvent) {
		b.seen.mu.Lock()
		defer b.seen.mu.Unlock()
		b.seen.all = append(b.seen.all, e)
	}})
	m, err := perdure.New(mcfg)
	if err != nil {
		tb.Fatal(err)
	}
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(pc)
	}
	b.m = m
	if b.DB, err = perdurepgx.Open(ctx, pc, m, cfg); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			tb.Errorf("closing the manager: %v", err)
		}
		b.Close()
	})
	if directURL != "" {
		if b.check, err = pgx.Connect(ctx, directURL); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = b.check.Close(context.WithoutCancel(ctx)) })
	}
	return b
}

// through opens a database of its own through a fault proxy, with a table t.
func through(tb testing.TB, mcfg perdure.Config, cfg perdurepgx.Config) (*bench, *faultproxy.Proxy) {
	tb.Helper()
	direct := server.Database(tb)
	proxy, url := faultproxytest.Before(tb, direct, faultproxy.Config{Seed: 1})
	b := openAt(tb, url, direct, mcfg, cfg, nil)
	b.exec(tb, "create table t (id bigint primary key, v text)")
	return b, proxy
}

func (b *bench) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := b.check.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

func (b *bench) count(tb testing.TB, table string) int {
	tb.Helper()
	var n int
	if err := b.check.QueryRow(tb.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (b *bench) migrate(tb testing.TB) {
	tb.Helper()
	if err := b.Migrate(tb.Context()); err != nil {
		tb.Fatalf("Migrate: %v", err)
	}
	if got := b.Outcome(); got != perdurepgx.Marker {
		tb.Fatalf("Outcome() = %v after Migrate, want marker", got)
	}
}

func insert(id int) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into t (id) values ($1)", id)
		return err
	}
}

package perduresql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perduresql"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Wrap(m)) }

// connecting makes a driver's connector, which dials through d unless that is nil.
type connecting func(tb testing.TB, url string, d *perduresql.Dialer) driver.Connector

func throughPgx(tb testing.TB, url string, d *perduresql.Dialer) driver.Connector {
	tb.Helper()
	c, err := pgx.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	if d != nil {
		c.DialFunc = d.DialContext
	}
	return stdlib.GetConnector(*c)
}

func throughPq(tb testing.TB, url string, d *perduresql.Dialer) driver.Connector {
	tb.Helper()
	c, err := pq.NewConnector(url)
	if err != nil {
		tb.Fatal(err)
	}
	if d != nil {
		c.Dialer(d)
	}
	return c
}

// drivers returns the drivers that are tested, with and without a witness.
func drivers() map[string]connecting {
	blind := func(c connecting) connecting {
		return func(tb testing.TB, url string, _ *perduresql.Dialer) driver.Connector {
			tb.Helper()
			return c(tb, url, nil)
		}
	}
	return map[string]connecting{
		"pgx": throughPgx, "pq": throughPq, "pgx without a witness": blind(throughPgx), "pq without a witness": blind(throughPq),
	}
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
	*perduresql.DB

	m     *perdure.Manager
	seen  *outcomes
	check *sql.DB
}

func openAt(tb testing.TB, through connecting, url, directURL string, mcfg perdure.Config, cfg perduresql.Config) *bench {
	tb.Helper()
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
	b.m = m
	if b.DB, err = perduresql.Open(through(tb, url, &perduresql.Dialer{}), m, cfg); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 40*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			tb.Errorf("closing the manager: %v", err)
		}
		if err := b.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	b.check = sql.OpenDB(throughPgx(tb, directURL, nil))
	b.check.SetMaxOpenConns(1)
	tb.Cleanup(func() { _ = b.check.Close() })
	return b
}

// behind opens a database of its own through a fault proxy, with a table t.
func behind(tb testing.TB, through connecting, mcfg perdure.Config, cfg perduresql.Config) (*bench, *faultproxy.Proxy) {
	tb.Helper()
	direct := server.Database(tb)
	proxy, url := faultproxytest.Before(tb, direct, faultproxy.Config{Seed: 1})
	b := openAt(tb, through, url, direct, mcfg, cfg)
	b.exec(tb, "create table t (id bigint primary key, v text)")
	return b, proxy
}

func (b *bench) exec(tb testing.TB, query string) {
	tb.Helper()
	if _, err := b.check.ExecContext(tb.Context(), query); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

func (b *bench) count(tb testing.TB, table string) int {
	tb.Helper()
	var n int
	if err := b.check.QueryRowContext(tb.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (b *bench) migrate(tb testing.TB) {
	tb.Helper()
	if err := b.Migrate(tb.Context()); err != nil {
		tb.Fatalf("Migrate: %v", err)
	}
	if got := b.Outcome(); got != perduresql.Marker {
		tb.Fatalf("Outcome() = %v after Migrate, want marker", got)
	}
}

func insert(id int) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "insert into t (id) values ($1)", id)
		return err
	}
}

// each runs f over all drivers.
func each(t *testing.T, f func(t *testing.T, through connecting)) {
	t.Helper()
	for name, through := range drivers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, through)
		})
	}
}

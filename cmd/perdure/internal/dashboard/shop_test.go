package dashboard_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/dashboard"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// shop is a program at work on a real server that can be killed, with a
// dashboard.
type shop struct {
	cluster  *pgcluster.Cluster
	proxy    *faultproxy.Proxy
	manager  *perdure.Manager
	db       *perdurepgx.DB
	observer *observe.Observer
	url      string // of the dashboard
	close    func() // ends the dashboard
}

const schema = `
create table orders (id bigserial primary key, owner text);
create table stats (orders bigint);
create function fail(code text) returns int language plpgsql as $$ begin raise exception using errcode = code; end $$;
`

// openShop starts it all, with n workers for each of its operations. After a
// crash a Token cannot prove that a commit happened; a Marker can.
func openShop(t *testing.T, n int, outcome perdurepgx.Outcome) *shop {
	t.Helper()
	s := &shop{cluster: pgclustertest.New(t, pgcluster.Config{})}
	crash := func(f faultproxy.Fault) {
		if f.Rule != crashAtCommit {
			return
		}
		s.proxy.Refuse(true)
		if err := s.cluster.Kill(); err != nil {
			t.Error(err)
		}
		s.proxy.CutAll(faultproxy.RST)
		if err := s.cluster.Start(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		s.proxy.Refuse(false)
	}
	var url string
	s.proxy, url = faultproxytest.Before(t, s.cluster.URL("postgres"), faultproxy.Config{OnFault: crash})
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	pool.MaxConns = 20
	s.manager, err = perdure.New(perdure.Config{
		Name:     "warehouse",
		Policy:   perdure.Policy{MaxAttempts: 4},
		Policies: map[string]perdure.Policy{"orders.*": {Park: time.Minute}, "features.*": {Park: time.Minute}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.db, err = perdurepgx.Open(t.Context(), pool, s.manager, perdurepgx.Config{Outcome: outcome})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := s.manager.Close(ctx); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
		s.db.Close()
	})
	if _, err := s.db.Pool().Exec(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	if outcome != perdurepgx.Token {
		if err := s.db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.watch(t)
	s.work(t, n)
	return s
}

// watch serves the dashboard.
func (s *shop) watch(t *testing.T) {
	t.Helper()
	var err error
	s.observer, err = observe.New(observe.Config{Sources: []observe.Source{{Manager: s.manager, Pool: observe.PoolOf(s.db.Pool().Stat)}}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := dashboard.New(s.observer, dashboard.Options{Version: "v0.3.0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.observer.Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	server := httptest.NewServer(h)
	s.url = server.URL
	s.close = sync.OnceFunc(func() {
		cancel() // first: it ends the streams, for which the server waits
		running.Wait()
		server.Close()
	})
	t.Cleanup(s.close)
}

var (
	claim    = perdure.Op{Name: "orders.claim"}
	ship     = perdure.Op{Name: "orders.ship", Idempotent: true}
	features = perdure.Op{Name: "features.load", Idempotent: true}
	refresh  = perdure.Op{Name: "stats.refresh", ReadOnly: true}
	report   = perdure.Op{Name: "report.daily", ReadOnly: true}
)

// work calls the database until the test ends. That calls fail while the server
// is away is what the test is about.
func (s *shop) work(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	each := func(n int, every time.Duration, do func()) {
		for range n {
			workers.Go(func() {
				for tick := time.NewTicker(every); ; {
					select {
					case <-ctx.Done():
						tick.Stop()
						return
					case <-tick.C:
						do()
					}
				}
			})
		}
	}
	each(2*n, 20*time.Millisecond, func() {
		_ = s.db.InTx(ctx, claim, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "insert into orders (owner) values ('ada')")
			return err
		})
	})
	each(2*n, 15*time.Millisecond, func() {
		_, _ = s.db.Exec(perdure.WithOp(ctx, ship), "update orders set owner = 'grace' where id = (random() * 1000)::int")
	})
	each(n, 30*time.Millisecond, func() {
		_, _ = s.db.Exec(perdure.WithOp(ctx, features), "select count(*), avg(length(owner)) from orders")
	})
	each(n, 40*time.Millisecond, func() {
		_, _ = s.db.Exec(perdure.WithOp(ctx, refresh), "select count(*) from stats")
	})
	each(1, 50*time.Millisecond, func() {
		_, _ = s.db.Exec(perdure.WithOp(ctx, report), "select pg_sleep(random() * 0.02)")
	})
	t.Cleanup(func() { cancel(); workers.Wait() })
}

const crashAtCommit = "crash at COMMIT"

// loseACommit kills the server after it has committed and before it could say so.
func (s *shop) loseACommit(t *testing.T) {
	t.Helper()
	faultproxytest.Add(t, s.proxy, faultproxy.Rule{
		Name: crashAtCommit, Count: 1,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	})
}

// storm fails in a way that a repeat could help, so often that the budget is spent.
func (s *shop) storm(ctx context.Context) {
	op := perdure.Op{Name: "import.prices", ReadOnly: true, Policy: stormy()}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 30 {
				if ctx.Err() != nil {
					return
				}
				_, _ = s.db.Exec(perdure.WithOp(ctx, op), "select fail('53200')")
			}
		})
	}
	all.Wait()
}

// stormy repeats at once, and has no breaker that would end it.
func stormy() *perdure.Policy {
	return &perdure.Policy{
		MaxAttempts: 5,
		Overload:    backoff.Config{Initial: time.Millisecond, Max: 5 * time.Millisecond},
		Breaker:     breaker.Config{Rule: breaker.Off},
	}
}

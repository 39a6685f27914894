package perdurepgx_test

import (
	"context"
	"errors"
	"net"
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

// A server that is far away is asked all the same: a new connection takes many
// round trips.
func TestResolverReachesAFarServer(t *testing.T) {
	t.Parallel()
	b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	faultproxytest.Add(t, proxy, faultproxy.Rule{
		Name: "far", Action: faultproxy.Delay, Delay: 1500 * time.Millisecond, Match: faultproxy.Match{Message: faultproxy.Startup},
	})
	faultproxytest.Add(t, proxy, replyLost(0))
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1)); err != nil || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v with %d rows, want nil and 1", err, b.count(t, "t"))
	}
}

// A server that is far away may be taken for dead once, until the prober knows
// how long it takes to get there. Work that parks does not notice.
func TestProberReachesAFarServer(t *testing.T) {
	t.Parallel()
	b, proxy := through(t, perdure.Config{Policy: perdure.Policy{Park: time.Minute}}, perdurepgx.Config{})
	b.migrate(t)
	faultproxytest.Add(t, proxy, faultproxy.Rule{
		Name: "far", Action: faultproxy.Delay, Delay: 800 * time.Millisecond, Match: faultproxy.Match{Message: faultproxy.Startup},
	})
	opened := make(chan struct{}, 8)
	defer b.m.AddHooks(perdure.Hooks{BreakerChange: func(e perdure.BreakerEvent) {
		if e.Opened() {
			opened <- struct{}{}
		}
	}})()
	b.m.Suspect("the test asks")
	<-opened
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1)); err != nil || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v with %d rows, want nil and 1", err, b.count(t, "t"))
	}
}

// Many doubts at once are resolved, although to ask for all takes longer than
// one turn of the resolver may.
func TestManyDoubtsOnASlowLink(t *testing.T) {
	t.Parallel()
	const n = 24
	direct := server.Database(t)
	proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{})
	b := openAt(t, url, direct, perdure.Config{}, perdurepgx.Config{ResolveTimeout: 6 * time.Second}, func(p *pgxpool.Config) { p.MaxConns = n })
	b.exec(t, "create table t (id bigint)")
	faultproxytest.Add(t, proxy, faultproxy.Rule{
		Name: "slow", Action: faultproxy.Delay, Delay: 120 * time.Millisecond,
		Match: faultproxy.Match{Message: faultproxy.Query, Text: faultproxy.Contains("pg_xact_status(")},
	})
	lost := replyLost(0)
	lost.Count = n
	faultproxytest.Add(t, proxy, lost)
	var ready, wg sync.WaitGroup
	ready.Add(n)
	for i := range n {
		wg.Go(func() {
			err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
				err := insert(i)(ctx, tx)
				ready.Done()
				ready.Wait()
				return err
			})
			if err != nil {
				t.Errorf("InTx = %v", err)
			}
		})
	}
	wg.Wait()
	if got := b.count(t, "t"); got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
}

// When the connection to a foreign server is lost at its COMMIT, the transaction
// is rolled back here and perhaps committed there.
func TestForeignCommitLost(t *testing.T) {
	t.Parallel()
	direct := server.Database(t)
	b := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{}, nil)
	foreign, _ := faultproxytest.Before(t, direct, faultproxy.Config{})
	host, port, err := net.SplitHostPort(foreign.Addr())
	if err != nil {
		t.Fatal(err)
	}
	b.exec(t, "create table t (id bigint); create extension postgres_fdw")
	b.exec(t, "create server s foreign data wrapper postgres_fdw options (host '"+host+"', port '"+port+"', dbname '"+
		b.check.Config().Database+"', sslmode 'disable')")
	b.exec(t, "create user mapping for public server s; create foreign table f (id bigint) server s options (table_name 't')")
	for _, migrated := range []bool{false, true} {
		if migrated {
			b.migrate(t)
		}
		faultproxytest.Add(t, foreign, replyLost(0))
		attempts := 0
		err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			attempts++
			_, err := tx.Exec(ctx, "insert into f values (1)")
			return err
		})
		e, ok := errors.AsType[*perdure.Error](err)
		if !ok || e.Reason != perdure.ReasonOutcomeUnknown || !errors.Is(err, perdure.ErrOutcomeUnknown) || !isState(err, "08006") || attempts != 1 {
			t.Errorf("InTx = %v after %d attempts, want outcome_unknown with 08006 after one", err, attempts)
		}
		if seen := b.seen.take(); len(seen) != 1 || seen[0].Resolution != perdure.Undecided || ok && seen[0].CorrelationID != e.CorrelationID {
			t.Errorf("outcomes = %+v, want one unknown", seen)
		}
		b.exec(t, "truncate t")
	}
}

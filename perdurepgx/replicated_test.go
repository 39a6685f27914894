package perdurepgx_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// cancelWaits ends waits for the standby, as an operator can, until it has ended
// n of them, or until done has something, which it returns.
func (b *bench) cancelWaits(t *testing.T, n int, done chan error) (err error, early bool) { //nolint:revive // the error is what is looked at
	t.Helper()
	for n > 0 {
		tag, err := b.check.Exec(t.Context(), "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
		if err != nil {
			t.Fatal(err)
		}
		n -= int(tag.RowsAffected())
		select {
		case err := <-done:
			return err, true
		default:
		}
	}
	return nil, false
}

// A wait for the standbys that somebody cancels ends in a COMMIT with a warning:
// the row is there, and a failover may drop it.
func TestCancelledWaitForTheStandbysIsNoSuccess(t *testing.T) {
	t.Parallel()
	primary := pgclustertest.New(t, pgcluster.Config{})
	replica := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{Synchronous: true})
	marker := openAt(t, primary.URL("postgres"), primary.URL("postgres"), patient(), perdurepgx.Config{}, nil)
	token := openAt(t, primary.URL("postgres"), "", patient(), perdurepgx.Config{Outcome: perdurepgx.Token}, nil)
	marker.exec(t, "create table t (id bigint)")
	marker.migrate(t)
	for name, work := range map[string]func() error{
		"marker": func() error { return marker.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1)) },
		"token":  func() error { return token.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1)) },
		"once": func() error {
			_, err := perdurepgx.Once(t.Context(), marker.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) {
				return 1, insert(1)(ctx, tx)
			})
			return err
		},
		"once, remembered": func() error {
			_, err := perdurepgx.Once(t.Context(), token.DB, opLoad, "known", func(context.Context, pgx.Tx) (int, error) { return 1, nil })
			return err
		},
		"a statement that may be repeated": func() error {
			_, err := marker.Exec(t.Context(), "insert into t select 1 where not exists (select from t)")
			if err == nil {
				return nil
			}
			_, err = marker.Exec(perdure.WithOp(t.Context(), perdure.Op{Name: "test.idempotent", Idempotent: true}),
				"update t set id = 1")
			return err
		},
	} {
		marker.exec(t, "truncate t")
		if name == "once, remembered" {
			if err := work(); err != nil {
				t.Fatal(err)
			}
			marker.exec(t, "insert into t values (1)")
		}
		if err := replica.Freeze(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- work() }()
		if err, early := marker.cancelWaits(t, 3, done); early {
			t.Errorf("%s: %v while the standby is frozen", name, err)
			done <- err
		}
		if err := replica.Thaw(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || marker.count(t, "t") != 1 {
			t.Errorf("%s: %v with %d rows once the standby is back, want nil and 1", name, err, marker.count(t, "t"))
		}
	}
}

// A transaction may ask for a stricter synchronous_commit than its session:
// then so does the resolver.
func TestResolverIsAsStrictAsTheTransaction(t *testing.T) {
	t.Parallel()
	primary := pgclustertest.New(t, pgcluster.Config{})
	replica := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{Synchronous: true})
	b := openAt(t, primary.URL("postgres"), primary.URL("postgres"), patient(), perdurepgx.Config{CommitTimeout: 200 * time.Millisecond},
		func(p *pgxpool.Config) { p.ConnConfig.RuntimeParams["synchronous_commit"] = "local" })
	b.exec(t, "create table t (id bigint)")
	b.migrate(t)
	if err := replica.Freeze(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "set local synchronous_commit = remote_apply")
			if err != nil {
				return err
			}
			return insert(1)(ctx, tx)
		})
	}()
	b.until(t, "select exists (select from pg_stat_activity where wait_event = 'SyncRep' and query like '%commit')")
	if err := b.check.QueryRow(t.Context(), "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'").Scan(new(bool)); err != nil {
		t.Fatal(err)
	}
	for waits := false; !waits; {
		if err := b.check.QueryRow(t.Context(), "select exists (select from pg_stat_activity where wait_event = 'SyncRep' and query like '%perdure.resolve(%')").Scan(&waits); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("InTx = %v while the standby is frozen", err)
		default:
		}
	}
	if err := replica.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v with %d rows, want nil and 1", err, b.count(t, "t"))
	}
}

// until waits until a query says true.
func (b *bench) until(t *testing.T, sql string) {
	t.Helper()
	for yes := false; !yes; {
		if err := b.check.QueryRow(t.Context(), sql).Scan(&yes); err != nil {
			t.Fatal(err)
		}
	}
}

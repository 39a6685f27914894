package perduresql_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perduresql"
)

// waitsForStandby waits until a COMMIT waits for the standby.
func (b *bench) waitsForStandby(tb testing.TB) {
	tb.Helper()
	for b.count(tb, "pg_stat_activity where wait_event = 'SyncRep'") == 0 {
		if err := tb.Context().Err(); err != nil {
			tb.Fatal(err)
		}
	}
}

// Under synchronous replication a COMMIT whose reply is lost, and one whose wait
// somebody cancels, is success only when the standby has it; the driver's own
// CancelRequest, which would show the row before that, is not sent.
func TestSuccessIsWhatTheStandbysHave(t *testing.T) {
	t.Parallel()
	primary := pgclustertest.New(t, pgcluster.Config{})
	replica := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{Synchronous: true})
	proxy, url := faultproxytest.Before(t, primary.URL("postgres"), faultproxy.Config{Seed: 1})
	id := 0
	for name, through := range map[string]connecting{"pgx": throughPgx, "pq": throughPq} {
		for _, method := range []perduresql.Outcome{perduresql.Token, perduresql.Marker} {
			b := openAt(t, through, url, primary.URL("postgres"), perdure.Config{}, perduresql.Config{Outcome: method})
			b.exec(t, "create table if not exists t (id bigint primary key)")
			if err := b.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, how := range []string{"reply lost", "wait cancelled"} {
				id++
				if err := b.PingContext(t.Context()); err != nil { // connections and plans are there
					t.Fatal(err)
				}
				before := proxy.Stats().Cancels
				var rule *faultproxy.RuleHandle
				frozen := false
				done := make(chan error, 1)
				go func() {
					done <- b.InTx(t.Context(), opLoad, nil, func(ctx context.Context, tx *sql.Tx) error {
						if err := insert(id)(ctx, tx); err != nil || frozen {
							return err
						}
						frozen = true
						if how == "reply lost" {
							rule = faultproxytest.Add(t, proxy, faultproxy.Rule{
								Name: "commit", Count: 1, Action: faultproxy.RST, When: faultproxy.After, Side: faultproxy.ClientSide,
								Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.Contains("; commit")},
							})
						}
						return replica.Freeze()
					})
				}()
				b.waitsForStandby(t)
				if how == "wait cancelled" {
					b.exec(t, "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
					b.waitsForStandby(t) // the resolver's
				} else if n := b.count(t, "t where id = "+text(id)); n != 0 {
					t.Errorf("%s, %v: the row is seen before the standby has it", name, method)
				}
				select {
				case err := <-done:
					t.Errorf("%s, %v, %s: InTx = %v while the standby is frozen", name, method, how, err)
				default:
				}
				if err := replica.Thaw(); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Errorf("%s, %v, %s: InTx = %v, want nil", name, method, how, err)
				}
				if n := b.count(t, "t where id = "+text(id)); n != 1 {
					t.Errorf("%s, %v, %s: %d rows, want 1", name, method, how, n)
				}
				if n := proxy.Stats().Cancels - before; n != 0 {
					t.Errorf("%s, %v, %s: %d CancelRequests for a pending COMMIT", name, method, how, n)
				}
				if rule != nil && rule.Hits() != 1 {
					t.Errorf("%s, %v: the fault struck %d times", name, method, rule.Hits())
				}
			}
		}
	}
}

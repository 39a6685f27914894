package perduresql_test

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perduresql"
)

func text(n int) string { return strconv.Itoa(n) }

// On an encrypted connection the witness sees less, and what is said stays true:
// a COMMIT that is cut while it is pending is looked into.
func TestCommitInDoubtUnderTLS(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	if _, err := c.EnableTLS(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy, url := faultproxytest.Before(t, c.URL("postgres"), faultproxy.Config{Seed: 1, PassTLS: true})
	url = strings.Replace(url, "sslmode=disable", "sslmode=require", 1)
	id := 0
	for name, through := range map[string]connecting{"pgx": throughPgx, "pq": throughPq} {
		for _, method := range []perduresql.Outcome{perduresql.Token, perduresql.Marker} {
			id++
			b := openAt(t, through, url, c.URL("postgres"), perdure.Config{}, perduresql.Config{Outcome: method})
			b.exec(t, "create table if not exists t (id bigint primary key)")
			b.exec(t, "create or replace function held() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return null; end $$")
			b.exec(t, "drop trigger if exists held on t")
			b.exec(t, "create constraint trigger held after insert on t deferrable initially deferred for each row execute function held()")
			if err := b.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			holder, err := b.check.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ask := func(query string) (n int) {
				if err := holder.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
					t.Fatalf("%s: %v", query, err)
				}
				return n
			}
			ask("select 1 from pg_advisory_lock(7)")
			b.seen.take()
			done := make(chan error, 1)
			encrypted := false
			go func() {
				done <- b.InTx(t.Context(), opLoad, nil, func(ctx context.Context, tx *sql.Tx) error {
					if err := tx.QueryRowContext(ctx, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").Scan(&encrypted); err != nil {
						return err
					}
					return insert(id)(ctx, tx)
				})
			}()
			for ask("select count(*) from pg_stat_activity where wait_event = 'advisory'") == 0 {
				if err := t.Context().Err(); err != nil {
					t.Fatal(err)
				}
			}
			proxy.CutAll(faultproxy.RST)
			ask("select pg_advisory_unlock(7)::int")
			if err := <-done; err != nil {
				t.Errorf("%s, %v: InTx = %v, want nil", name, method, err)
			}
			_ = holder.Close()
			if n := b.count(t, "t where id = "+text(id)); n != 1 || !encrypted {
				t.Errorf("%s, %v: %d rows, encrypted %v, want 1 row", name, method, n, encrypted)
			}
			if seen := b.seen.take(); len(seen) != 1 || seen[0].Resolution == perdure.Undecided {
				t.Errorf("%s, %v: outcomes = %+v, want one that is proven", name, method, seen)
			}
		}
	}
}

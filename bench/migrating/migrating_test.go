package migrating_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// transient is the list that every project keeps: what is worth another try.
func transient(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains([]string{"40001", "40P01", "53300", "55P03", "57P01", "57P03"}, pg.Code)
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// TestShops: each shop does its work, goes on after a refusal of the server, and
// tells what it tells of a COMMIT whose reply is lost.
func TestShops(t *testing.T) {
	type shop func(ctx context.Context, owner string) error
	shops := map[string]struct {
		open func(t *testing.T, url string) shop
		lost int // rows after one order whose reply was lost
	}{
		"failsafe": {func(t *testing.T, url string) shop { t.Helper(); return newFailsafeShop(bare(t, url)).add }, 2},
		"composed": {func(t *testing.T, url string) shop { t.Helper(); return newComposedShop(bare(t, url)).add }, 2},
		"perdure": {func(t *testing.T, url string) shop {
			t.Helper()
			pool, err := pgxpool.ParseConfig(url)
			if err != nil {
				t.Fatal(err)
			}
			s, err := newPerdureShop(t.Context(), pool)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.m.Close(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
				s.db.Close()
			})
			return s.add
		}, 1},
	}
	for name, c := range shops {
		t.Run(name, func(t *testing.T) {
			direct := server.Database(t)
			check, err := pgx.Connect(t.Context(), direct)
			if err != nil {
				t.Fatal(err)
			}
			defer check.Close(context.WithoutCancel(t.Context()))
			if _, err := check.Exec(t.Context(), "create table orders (id int generated always as identity, owner text)"); err != nil {
				t.Fatal(err)
			}
			proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{Seed: 1})
			add := c.open(t, url)
			order := func(owner string, want int) {
				t.Helper()
				if err := add(t.Context(), owner); err != nil {
					t.Errorf("%s: add = %v, want nil", owner, err)
				}
				var n int
				if err := check.QueryRow(t.Context(), "select count(*) from orders where owner = $1", owner).Scan(&n); err != nil {
					t.Fatal(err)
				}
				if n != want {
					t.Errorf("%s: %d orders, want %d", owner, n, want)
				}
			}
			order("ada", 1)
			rule := faultproxytest.Add(t, proxy, faultproxy.Rule{
				Name: "reply", Count: 1, Action: faultproxy.FIN,
				Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
			})
			order("grace", c.lost)
			if rule.Hits() != 1 {
				t.Errorf("%d replies were lost, want 1", rule.Hits())
			}
		})
	}
}

// bare opens a pool that nothing guards.
func bare(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

package perdurepgx_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

// A CancelRequest that is slower than the end of its statement does not hit the
// next one on the connection.
func TestALateCancelHitsNobody(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{"late": 500 * time.Millisecond, "too late to wait for": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := server.Database(t)
			proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{})
			b := openAt(t, url, direct, perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) { p.MaxConns = 1 })
			if _, err := b.Exec(t.Context(), "select 1"); err != nil {
				t.Fatal(err)
			}
			late := faultproxytest.Add(t, proxy, faultproxy.Rule{
				Name: name, Match: faultproxy.Match{Message: faultproxy.CancelRequest}, Action: faultproxy.Delay, Delay: delay,
			})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, _ = b.Exec(ctx, "select pg_sleep(0.3)") // it ends with its context, or without it on a slow machine
			if _, err := b.Exec(t.Context(), "select pg_sleep(2)"); err != nil {
				t.Errorf("the next statement = %v after %d CancelRequests, want nil", err, late.Hits())
			}
		})
	}
}

package pgcluster_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

// Two clients share one connection to the server, each for the length of a transaction.
func TestPooler(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	if err := c.AddUser(t.Context(), "app", "secret"); err != nil {
		t.Fatal(err)
	}
	p := pgclustertest.Pooler(t, pgcluster.PoolerConfig{Server: c.Addr(), User: "app", Password: "secret", Size: 1})
	const backend = "select pg_backend_pid()::text || ' ' || current_user"
	one, two := query(t, p.URL("postgres"), backend), query(t, p.URL("postgres"), backend)
	if one != two {
		t.Errorf("two clients have the backends %q and %q, want one", one, two)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); !errors.Is(err, pgcluster.ErrNotRunning) {
		t.Errorf("Kill() of one that is dead = %v, want ErrNotRunning", err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); !errors.Is(err, pgcluster.ErrRunning) {
		t.Errorf("Start() of one that runs = %v, want ErrRunning", err)
	}
	if three := query(t, p.URL("postgres"), backend); three == one {
		t.Errorf("after a kill the backend is still %q", three)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err == nil {
		t.Error("Start() after Close() = nil, want an error")
	}
}

func TestPoolerNeedsAUser(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", `a"b`} {
		if _, err := pgcluster.NewPooler(t.Context(), pgcluster.PoolerConfig{Server: "127.0.0.1:1", User: user}); err == nil {
			t.Errorf("NewPooler with user %q = nil, want an error", user)
		}
	}
}

func query(t *testing.T, url, sql string) (answer string) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql, pgx.QueryExecModeExec).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

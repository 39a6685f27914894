package pgcluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

func backendPID(conn *pgx.Conn) int { return int(conn.PgConn().PID()) }

func TestSmartStopWaitsForClients(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	conn := unfinished(t, c)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("waited enough"))
	defer cancel()
	if err := c.Stop(ctx, pgcluster.Smart); err == nil || !errors.Is(err, context.Cause(ctx)) {
		t.Errorf("Stop(Smart) with a client = %v, want the context's cause", err)
	}
	exec(t, conn, "commit") // still served
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the server", func() bool { return !c.Running() })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, c, 1, 2)
}

func TestKillKeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	for range 3 {
		conn := unfinished(t, c)
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "commit"); err == nil {
			t.Error("commit succeeded after Kill")
		}
		if err := c.Kill(); !errors.Is(err, pgcluster.ErrNotRunning) {
			t.Errorf("second Kill = %v, want ErrNotRunning", err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantRows(t, c, 1)
	}
}

func TestKillEndsABackendThatDoesNotNotice(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	conn := connect(t, c.URL("postgres"))
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "do $$ begin loop end loop; end $$")
		done <- err
	}()
	eventually(t, "the endless loop to run", func() bool {
		return ask(t, c, "select count(*) from pg_stat_activity where state = 'active' and query like 'do %'") == 1
	})
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("an endless loop ended well")
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ask asks the server for a number, on a new connection.
func ask(t *testing.T, c *pgcluster.Cluster, sql string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestKillBackendCrashesTheServer(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	victim, other := unfinished(t, c), connect(t, c.URL("postgres"))
	postmaster := c.PID()
	backends, err := c.Backends()
	if err != nil {
		t.Fatal(err)
	}
	pids := map[int]bool{}
	for _, b := range backends {
		pids[b.PID] = true
	}
	if len(pids) != 2 || !pids[backendPID(victim)] || !pids[backendPID(other)] {
		t.Errorf("Backends() = %+v, want %d and %d", backends, backendPID(victim), backendPID(other))
	}
	if err := c.KillBackend(1); err == nil {
		t.Error("KillBackend(1) did not refuse")
	}
	if err := c.KillBackend(backendPID(victim)); err != nil {
		t.Fatal(err)
	}
	if _, err := victim.Exec(t.Context(), "commit"); err == nil {
		t.Error("a killed backend committed")
	}
	if err := c.AwaitRecovery(t.Context(), backendPID(victim)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the crash has not reached the other connection")
	}
	wantRows(t, c, 1)
	if c.PID() != postmaster {
		t.Error("the postmaster is another one")
	}
}

func TestFrozenServerIsSilent(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	conn := connect(t, c.URL("postgres"))
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	if !c.Running() {
		t.Error("a frozen server counts as not running")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := pgx.Connect(ctx, c.URL("postgres")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("connect to a frozen server = %v, want a timeout", err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select 1")
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Errorf("a frozen server answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("after Thaw: %v", err)
	}
}

func TestFrozenServerCanBeEnded(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	for name, end := range map[string]func() error{
		"kill":      c.Kill,
		"fast":      func() error { return c.Stop(t.Context(), pgcluster.Fast) },
		"immediate": func() error { return c.Stop(t.Context(), pgcluster.Immediate) },
	} {
		unfinished(t, c)
		if err := errors.Join(c.Freeze(), end(), c.Start(t.Context())); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantRows(t, c, 1)
	}
	if err := errors.Join(c.Freeze(), c.Close()); err != nil {
		t.Errorf("Close of a frozen server: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := c.Start(t.Context()); err == nil {
		t.Error("Start after Close succeeded")
	}
}

func TestFreezeOneBackend(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	conn, other := connect(t, c.URL("postgres")), connect(t, c.URL("postgres"))
	if err := c.FreezeBackend(backendPID(conn)); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select 1")
		answer <- err
	}()
	exec(t, other, "select pg_sleep(0.2)") // served meanwhile
	select {
	case err := <-answer:
		t.Errorf("a frozen backend answered: %v", err)
	default:
	}
	if err := c.ThawBackend(backendPID(conn)); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("after ThawBackend: %v", err)
	}
}

func TestUserWithPassword(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	const name, password = `odd "user"`, `it's \ secret`
	if err := c.AddUser(t.Context(), name, password); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, c.UserURL(name, password, "postgres")), "select 1")
	if _, err := pgx.Connect(t.Context(), c.UserURL(name, "wrong", "postgres")); sqlState(err) != "28P01" {
		t.Errorf("connect with a wrong password = %v, want 28P01", err)
	}
	exec(t, connect(t, c.URL("postgres")), "select 1")
}

package pgcluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		owner(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// connect opens a connection that is closed at the test's end.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// rows returns the values of the table t, on a new connection.
func rows(t *testing.T, c *pgcluster.Cluster) []int {
	t.Helper()
	conn := connect(t, c.URL("postgres"))
	found, err := conn.Query(t.Context(), "select n from t order by n")
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(found, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func wantRows(t *testing.T, c *pgcluster.Cluster, want ...int) {
	t.Helper()
	if diff := cmp.Diff(want, rows(t, c)); diff != "" {
		t.Errorf("rows of t (-want +got):\n%s", diff)
	}
}

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// unfinished leaves a committed 1 and an uncommitted 2 in the table t, and returns
// the connection with the open transaction.
func unfinished(t *testing.T, c *pgcluster.Cluster) *pgx.Conn {
	t.Helper()
	conn := connect(t, c.URL("postgres"))
	exec(t, conn, "create table if not exists t (n int); truncate t; insert into t values (1)")
	exec(t, conn, "begin")
	exec(t, conn, "insert into t values (2)")
	return conn
}

func TestMissingBinariesSayWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := pgcluster.New(t.Context(), pgcluster.Config{BinDir: t.TempDir()})
	missing, ok := errors.AsType[*pgcluster.NoBinariesError](err)
	if !ok {
		t.Fatalf("New with an empty BinDir = %v, want a NoBinariesError", err)
	}
	if !strings.Contains(missing.Hint(), "install") {
		t.Errorf("Hint() = %q, want what to install", missing.Hint())
	}
}

func TestBinariesFromTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(pgcluster.EnvBinDir, dir)
	if got, err := pgcluster.FindBinaries(""); err == nil {
		t.Errorf("FindBinaries with an empty directory in the environment = %s, want an error", got)
	}
	for _, name := range []string{"initdb", "postgres", "pg_basebackup"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got, err := pgcluster.FindBinaries("")
	if err != nil || got != dir {
		t.Errorf("FindBinaries = %s, %v, want %s", got, err, dir)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := pgcluster.New(t.Context(), pgcluster.Config{Port: -1}); err == nil {
		t.Error("New with port -1 succeeded")
	}
	c, err := pgcluster.New(t.Context(), pgcluster.Config{Settings: map[string]string{"work_mem = 1\nx": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err == nil {
		t.Error("Start with a line break in the name of a setting succeeded")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestServerThatCannotStartShowsItsLog(t *testing.T) {
	t.Parallel()
	c, err := pgcluster.New(t.Context(), pgcluster.Config{Settings: map[string]string{"no_such_setting": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("Start with an unknown setting = %v, want the line of the log", err)
	}
}

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{Settings: map[string]string{"work_mem": "7MB"}})
	var mem string
	if err := connect(t, c.URL("postgres")).QueryRow(t.Context(), "show work_mem").Scan(&mem); err != nil || mem != "7MB" {
		t.Errorf("work_mem = %s, %v, want 7MB", mem, err)
	}
	if err := c.Start(t.Context()); !errors.Is(err, pgcluster.ErrRunning) {
		t.Errorf("second Start = %v, want ErrRunning", err)
	}
	port := c.Port()
	for _, mode := range []pgcluster.StopMode{pgcluster.Fast, pgcluster.Immediate} {
		conn := unfinished(t, c)
		if err := c.Stop(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		if c.Running() || c.PID() != 0 {
			t.Error("the server runs after Stop")
		}
		if _, err := conn.Exec(t.Context(), "commit"); err == nil {
			t.Error("commit succeeded after Stop")
		}
		if err := c.Stop(t.Context(), mode); !errors.Is(err, pgcluster.ErrNotRunning) {
			t.Errorf("second Stop = %v, want ErrNotRunning", err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantRows(t, c, 1)
	}
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.Port() != port {
		t.Errorf("port after restarts = %d, want %d", c.Port(), port)
	}
	wantRows(t, c, 1)
}

// TestTheEnvironmentOfAClientDoesNotMoveTheServer: PGPORT and a closed TMPDIR
// are what users have.
func TestTheEnvironmentOfAClientDoesNotMoveTheServer(t *testing.T) {
	t.Setenv("PGPORT", "")
	t.Setenv("PGDATA", "/nonexistent")
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", closed)
	c := pgclustertest.New(t, pgcluster.Config{})
	if !c.Running() {
		t.Error("the server does not run")
	}
}

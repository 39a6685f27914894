package pgclustertest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
)

// Shared is one server for all tests of a package. It is started by the first
// test that asks, and closed after the last. The zero value is ready:
//
//	var server pgclustertest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(server.Wrap(m).Run()) }
//
//	func TestX(t *testing.T) { pool, err := pgxpool.New(t.Context(), server.Database(t)) … }
//
// Tests that break the server need one of their own, from New. A Shared is safe for concurrent use.
type Shared struct {
	// Config is that of the server.
	Config pgcluster.Config

	mu      sync.Mutex // guards the fields below
	started bool
	cluster *pgcluster.Cluster
	err     error
}

// Runner is the part of *testing.M that runs the tests; goleak.VerifyTestMain takes one.
type Runner interface{ Run() int }

// Wrap returns a Runner that runs the tests of m and closes the server after them.
func (s *Shared) Wrap(m Runner) Runner { return wrapped{s, m} }

type wrapped struct {
	shared *Shared
	tests  Runner
}

// Run runs the tests, closes the server and returns the exit code.
func (w wrapped) Run() int {
	code := w.tests.Run()
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	if w.shared.cluster == nil {
		return code
	}
	if err := w.shared.cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "closing the shared server:", err)
		return max(code, 1)
	}
	return code
}

// Cluster returns the shared server.
func (s *Shared) Cluster(tb testing.TB) *pgcluster.Cluster {
	tb.Helper()
	// The server outlives the test that happens to be the first.
	c, err := s.get(context.WithoutCancel(tb.Context()))
	if err != nil {
		tb.Fatal(explain(err))
	}
	return c
}

func (s *Shared) get(ctx context.Context) (*pgcluster.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.cluster, s.err = start(ctx, s.Config)
		s.started = !errors.Is(s.err, context.Canceled)
	}
	return s.cluster, s.err
}

// Example returns the URL of a fresh database for a runnable example, which has
// no testing.TB, after it has run setup there. What fails is written to stderr,
// and the URL is empty then. The database goes with the server.
func (s *Shared) Example(ctx context.Context, setup string) string {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	c, err := s.get(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		return ""
	}
	name := "example_" + strings.ToLower(rand.Text())
	for _, step := range [][2]string{{"postgres", "create database " + name}, {name, setup}} {
		if err := exec(ctx, c.URL(step[0]), step[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return ""
		}
	}
	return c.URL(name)
}

func exec(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// Database returns the URL of a fresh database on the shared server, see Database.
func (s *Shared) Database(tb testing.TB) string {
	tb.Helper()
	return Database(tb, s.Cluster(tb))
}

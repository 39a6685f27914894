package pgclustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

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
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		// The server outlives the test that happens to be the first.
		s.cluster, s.err = start(context.WithoutCancel(tb.Context()), s.Config)
		s.started = !errors.Is(s.err, context.Canceled)
	}
	if s.err != nil {
		tb.Fatal(explain(s.err))
	}
	return s.cluster
}

// Database returns the URL of a fresh database on the shared server, see Database.
func (s *Shared) Database(tb testing.TB) string {
	tb.Helper()
	return Database(tb, s.Cluster(tb))
}

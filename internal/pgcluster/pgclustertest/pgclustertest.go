// Package pgclustertest gives tests a real PostgreSQL server. A missing server
// fails the test and says what to install; nothing is ever skipped.
package pgclustertest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pgcluster"
)

// startLimit is how long a server may take to be made and started; machines that
// run many test packages at once are slow.
const startLimit = 2 * time.Minute

// New starts a server for one test; it is stopped and removed at the test's end.
// A test that fails shows the end of the server's log.
func New(tb testing.TB, cfg pgcluster.Config) *pgcluster.Cluster {
	tb.Helper()
	c, err := start(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(explain(err))
	}
	closeAtEnd(tb, c)
	return c
}

// Replica starts a replica of a server for one test, as New does.
func Replica(tb testing.TB, primary *pgcluster.Cluster, cfg pgcluster.ReplicaConfig) *pgcluster.Cluster {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	c, err := primary.Replica(ctx, cfg)
	if err != nil {
		tb.Fatal(explain(err))
	}
	closeAtEnd(tb, c)
	return c
}

func closeAtEnd(tb testing.TB, c *pgcluster.Cluster) {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of the server's log:\n%s", tail(c.Log()))
		}
		if err := c.Close(); err != nil {
			tb.Errorf("closing the server: %v", err)
		}
	})
}

func start(ctx context.Context, cfg pgcluster.Config) (*pgcluster.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	c, err := pgcluster.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// explain adds to an error what a person can do about it.
func explain(err error) string {
	if missing, ok := errors.AsType[*pgcluster.NoBinariesError](err); ok {
		return missing.Error() + "\nTry: " + missing.Hint()
	}
	return err.Error()
}

func tail(path string) string {
	const keep = 4000
	log, err := os.ReadFile(path) //nolint:gosec // the log of our own server
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-keep):])
}

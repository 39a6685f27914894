package pgclustertest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
)

// Database creates an empty database for one test and returns the superuser's
// connection URL; the database is dropped at the test's end, with whoever is still connected to it.
// It is safe in parallel tests.
func Database(tb testing.TB, c *pgcluster.Cluster) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	run(tb, tb.Context(), c, "create database "+name)
	tb.Cleanup(func() {
		if !c.Running() {
			return // its whole directory goes away
		}
		run(tb, context.WithoutCancel(tb.Context()), c, "drop database "+name+" with (force)")
	})
	return c.URL(name)
}

func run(tb testing.TB, ctx context.Context, c *pgcluster.Cluster, sql string) { //nolint:revive // tb is first in test helpers
	tb.Helper()
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		tb.Errorf("%s: %v", sql, err)
		return
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's own result says whether it worked
	if _, err := conn.Exec(ctx, sql); err != nil {
		tb.Errorf("%s: %v", sql, err)
	}
}

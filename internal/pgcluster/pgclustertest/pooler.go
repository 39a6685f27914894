package pgclustertest

import (
	"context"
	"errors"
	"testing"

	"github.com/perdure/perdure/internal/pgcluster"
)

// Pooler starts a PgBouncer in transaction mode for one test; it is ended at the test's end.
func Pooler(tb testing.TB, cfg pgcluster.PoolerConfig) *pgcluster.Pooler {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	p, err := pgcluster.NewPooler(ctx, cfg)
	if missing, ok := errors.AsType[*pgcluster.NoPgBouncerError](err); ok {
		tb.Fatalf("%v\nTry: %s", missing, missing.Hint())
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("closing the pooler: %v", err)
		}
	})
	return p
}

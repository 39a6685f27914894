package pgclustertest

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/pgcluster"
)

// Schema creates an empty schema in the database postgres for one test and returns
// the superuser's connection URL with that schema as search_path. It is dropped at the test's end, once
// nobody uses it any more. It costs milliseconds where Database costs a tenth of a second.
func Schema(tb testing.TB, c *pgcluster.Cluster) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	run(tb, tb.Context(), c, "create schema "+name)
	tb.Cleanup(func() {
		if !c.Running() {
			return // its whole directory goes away
		}
		run(tb, context.WithoutCancel(tb.Context()), c, "drop schema "+name+" cascade")
	})
	u, err := url.Parse(c.URL("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Schema returns the URL of a fresh schema on the shared server, see Schema.
func (s *Shared) Schema(tb testing.TB) string {
	tb.Helper()
	return Schema(tb, s.Cluster(tb))
}

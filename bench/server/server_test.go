package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/perdure/perdure/bench/server"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

var postgres pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(postgres.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// TestEveryWayDoesItsWork: each way of writing leaves one row for each call, and one marker if it is to.
func TestEveryWayDoesItsWork(t *testing.T) {
	url := postgres.Database(t)
	kinds, closed, err := server.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closed)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	count := func(table string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "select count(*) from "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const calls = 20
	for _, k := range kinds {
		for _, w := range k.Ways {
			rows, markers := count("bench_log"), count("perdure.outcome")
			for i := range calls {
				if err := w.Do(t.Context(), i); err != nil {
					t.Fatalf("%s, %s: %v", k.Name, w.Name, err)
				}
			}
			wantRows, wantMarkers := 0, 0
			if strings.HasPrefix(k.Name, server.Transaction) {
				wantRows = calls
			}
			if w.Name == "InTx, Marker" {
				wantMarkers = calls
			}
			if r, m := count("bench_log")-rows, count("perdure.outcome")-markers; r != wantRows || m != wantMarkers {
				t.Errorf("%s, %s: %d calls left %d rows and %d markers, want %d and %d", k.Name, w.Name, calls, r, m, wantRows, wantMarkers)
			}
		}
	}
}

func TestCompareCountsSuccessesAndFailures(t *testing.T) {
	broken := errors.New("broken")
	k := server.Kind{Name: "k", Ways: []server.Way{
		{Name: "quick", Do: func(context.Context, int) error { return nil }},
		{Name: "same", Do: func(context.Context, int) error { return nil }},
	}}
	got, err := server.Compare(t.Context(), k, server.Plan{Callers: 2, Rounds: 3, Turn: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Share != 1 || got[0].PerSecond <= 0 || got[0].P99 < got[0].P50 || got[0].Callers != 2 {
		t.Errorf("Compare() = %+v", got)
	}
	n := 0
	k.Ways[1].Do = func(context.Context, int) error {
		if n++; n%2 == 0 {
			return broken
		}
		return nil
	}
	got, err = server.Compare(t.Context(), k, server.Plan{Callers: 1, Rounds: 2, Turn: 50 * time.Millisecond})
	if err != nil || got[0].Failed != 0 || got[1].Failed == 0 || !errors.Is(got[1].Failure, broken) {
		t.Errorf("Compare() = %+v, %v; want the failures of the second way counted", got, err)
	}
	k.Ways[1].Do = func(context.Context, int) error { return broken }
	if _, err := server.Compare(t.Context(), k, server.Plan{Callers: 2, Rounds: 1, Turn: time.Millisecond}); !errors.Is(err, broken) {
		t.Errorf("Compare() = %v where nothing succeeds, want %v", err, broken)
	}
}

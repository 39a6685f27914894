package leaktest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// minSecrets is how many marked secrets there must be at least.
const minSecrets = 40

// open returns a guarded database with the schema and the channels wired in.
func open(t *testing.T) (*env, *ways) {
	t.Helper()
	ctx := t.Context()
	w := &ways{}
	cfg := w.config()
	quick := backoff.Config{Initial: time.Millisecond, Max: time.Millisecond}
	cfg.Policy = perdure.Policy{
		MaxAttempts: 2, Backoff: quick, Contention: quick, Overload: quick,
		Breaker: breaker.Config{Rule: breaker.Off}, // a hundred errors in a row are the purpose
	}
	cfg.Database = breaker.Config{Rule: breaker.Off}
	m, err := perdure.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.m, w.satellites = m, newSatellites(t)
	w.satellites.attach(t, m)
	url := server.Database(t)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range schema {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(ctx, pc, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
		db.Close()
	})
	return &env{db: db, url: url}, w
}

// TestNoMarkedSecretLeaks provokes every leak and looks for the marks.
func TestNoMarkedSecretLeaks(t *testing.T) {
	e, w := open(t)
	marks := map[string]string{} // by the name of the leak
	for i, l := range leaks() {
		mark, err := l.provoked(t, e, i)
		if err == nil {
			t.Errorf("%s: no error", l.name)
			continue
		}
		w.caught(t.Context(), err)
		marks[l.name] = mark
	}
	const doubted = "a commit in doubt: who and where"
	marks[doubted] = "mkdoubtzq"
	w.caught(t.Context(), doubtfulCommit(t, w, e.url, marks[doubted]))
	if len(marks) < minSecrets {
		t.Errorf("%d marked secrets, want at least %d", len(marks), minSecrets)
	}
	leaked := map[string]bool{}
	channels := append(w.channels(t), w.satellites.channels(t)...)
	for _, c := range channels {
		out := c.dump()
		if out == "" {
			t.Errorf("nothing was said over %s", c.name)
		}
		for name, mark := range marks {
			if line := find(out, mark); line != "" {
				leaked[name] = true
				t.Errorf("%s leaks over %s: %.300s", name, c.name, line)
			}
		}
	}
	// The control: a program that prints raw errors leaks them all, so that a
	// mark that is not there was never provoked.
	raw := w.raw.String()
	for name, mark := range marks {
		if find(raw, mark) == "" {
			t.Errorf("%s: the mark %q is not in the error at all", name, mark)
		}
	}
	fmt.Printf("%d of %d marked secrets leaked over %d channels\n", len(leaked), len(marks), len(channels))
}

// find returns the first line of out that holds mark, "" if none does.
func find(out, mark string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, mark) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

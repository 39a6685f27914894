package leaktest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// minSecrets is how many marked secrets there must be at least.
const minSecrets = 40

// open returns a guarded database with the schema and the channels wired in.
func open(t *testing.T, server *pgclustertest.Shared, outlets []Outlets) (*env, *ways) {
	t.Helper()
	ctx := t.Context()
	w := &ways{outlets: outlets}
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
	w.m = m
	w.attach(t, m)
	url := server.Database(t)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it has served its purpose
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

// attach shows what m does over the outlets.
func (w *ways) attach(t *testing.T, m *perdure.Manager) {
	t.Helper()
	for _, o := range w.outlets {
		o.Attach(t, m)
	}
}

// Run provokes every leak on a database of the server's and looks for the marks
// in the channels of the core and of the outlets. It prints how many were found.
func Run(t *testing.T, server *pgclustertest.Shared, outlets ...Outlets) {
	t.Helper()
	e, w := open(t, server, outlets)
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
	channels := w.channels(t)
	for _, o := range outlets {
		channels = append(channels, o.Channels(t)...)
	}
	for _, c := range channels {
		out := c.Dump()
		if out == "" {
			t.Errorf("nothing was said over %s", c.Name)
		}
		for name, mark := range marks {
			if line := find(out, mark); line != "" {
				leaked[name] = true
				t.Errorf("%s leaks over %s: %.300s", name, c.Name, line)
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
	_, _ = fmt.Fprintf(t.Output(), "%d of %d marked secrets leaked over %d channels\n", len(leaked), len(marks), len(channels))
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

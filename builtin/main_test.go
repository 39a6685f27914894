package builtin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// house is a database, the components on it, and a plain connection.
type house struct {
	*component.Loader

	check *pgx.Conn
	log   *logged
}

// logged is a log that can be read.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func open(t *testing.T, url string) house {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 6
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{MaxAttempts: 20, Park: time.Minute}, Budget: perdure.BudgetConfig{Floor: 100}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("Close = %v", err)
		}
		db.Close()
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := house{log: &logged{}}
	h.Loader, err = component.New(component.Config{Grace: 10 * time.Second, Factories: builtin.Factories(builtin.Config{
		DB: db, DatabaseURL: redact.NewSecret(url), Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(context.Background()); err != nil {
			t.Errorf("Stop = %v", err)
		}
	})
	if h.check, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.check.Close(context.Background()) })
	return h
}

func (h house) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := h.check.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// text returns the rows of a query, as text.
func (h house) text(t *testing.T, sql string) string {
	t.Helper()
	rows, err := h.check.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		values, err := r.Values()
		return strings.Trim(fmt.Sprint(values), "[]"), err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

func parse(t *testing.T, yaml string) pipeline.Definition {
	t.Helper()
	d, err := pipeline.Parse(t.Name(), []byte(yaml), builtin.Methods())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (h house) run(t *testing.T, d pipeline.Definition, run string, params map[string]any) (pipeline.Report, error) {
	t.Helper()
	return pipeline.Run(t.Context(), d, pipeline.Options{Run: run, Params: params, Env: pipeline.Env{Invoker: h, Artifacts: t.TempDir()}})
}

// output returns the output of a step.
func output(t *testing.T, r pipeline.Report, step string) string {
	t.Helper()
	s, ok := r.Step(step)
	if !ok || s.Status != pipeline.StatusSucceeded {
		t.Fatalf("step %s = %+v", step, s)
	}
	var v any
	if err := json.Unmarshal(s.Output, &v); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

package perduredbos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

func TestMain(m *testing.M) {
	if raw := os.Getenv(childEnv); raw != "" {
		if err := childMain(raw); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// counter counts how often the tasks of a test were begun.
type counter struct {
	mu    sync.Mutex
	begun map[string]int
}

func (c *counter) add(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun == nil {
		c.begun = make(map[string]int)
	}
	c.begun[name]++
	return c.begun[name]
}

func (c *counter) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun[name]
}

// env gives plans of d their functions.
func env(d *pipeline.Definition) pipeline.Env {
	return pipeline.Env{Pipeline: func(name string) (pipeline.Definition, bool) { return *d, name == d.Name }}
}

// engine opens an engine in dir that is closed at the test's end.
func engine(t *testing.T, dir string, d *pipeline.Definition) *perduredbos.Engine {
	t.Helper()
	return open(t, perduredbos.Config{Dir: dir, Env: env(d)})
}

func open(t *testing.T, cfg perduredbos.Config) *perduredbos.Engine {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	e, err := perduredbos.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func freeze(t *testing.T, d *pipeline.Definition, run string, params any) pipeline.Plan {
	t.Helper()
	p, err := d.Freeze(run, params)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func show(t *testing.T, e *perduredbos.Engine, run string) pipeline.RunInfo {
	t.Helper()
	info, err := e.Show(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// asJSON is what another process sees of v.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func value(v any) pipeline.Func {
	return func(context.Context, pipeline.Input) (any, error) { return v, nil }
}

// arrives waits until the run has come to a point, and fails if it ended before.
func arrives(t *testing.T, point <-chan struct{}, ended <-chan error) {
	t.Helper()
	select {
	case <-point:
	case err := <-ended:
		t.Fatalf("the run ended before: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the run does not get there")
	}
}

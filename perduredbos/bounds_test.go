package perduredbos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

// TestAWaitSurvivesTheProcess: a task that is to be tried again is tried by the next
// process, at its time and not before, and with nothing run in between.
func TestAWaitSurvivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	var c counter
	later := time.Now().Add(time.Hour)
	d := &pipeline.Definition{Name: "later", Steps: []pipeline.Step{{Name: "a", Attempts: 3, Do: func(context.Context, pipeline.Input) (any, error) {
		if c.add("a") == 1 {
			return nil, pipeline.RetryAt(errors.New("not yet"), later)
		}
		return 1, nil
	}}}}
	e := engine(t, dir, d)
	stop := make(chan struct{})
	_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{Stop: stop, Observe: func(ev pipeline.Event) {
		if ev.Kind == pipeline.EventWaiting {
			close(stop)
		}
	}})
	if !errors.Is(err, pipeline.ErrStopped) || c.of("a") != 1 {
		t.Fatalf("error %v, begun %d", err, c.of("a"))
	}
	// The hour has passed: what is stored says so.
	db := sqlite(t, dir)
	var until time.Time
	for _, b := range stored(t, db, "r") {
		for _, r := range b.records {
			until = r.Outcome.Failure.RetryAt
		}
	}
	if !until.Equal(later) {
		t.Errorf("stored is %v, want %v", until, later)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = e.Resume(ctx, "r", pipeline.DurableOptions{Observe: func(ev pipeline.Event) {
		if ev.Kind == pipeline.EventWaiting {
			if !ev.Until.Equal(later) {
				t.Errorf("it waits until %v, want %v", ev.Until, later)
			}
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || c.of("a") != 1 {
		t.Errorf("error %v, begun %d times, want once", err, c.of("a"))
	}
}

// TestAShortWaitIsOver: the same with a time that passes.
func TestAShortWaitIsOver(t *testing.T) {
	var c counter
	d := &pipeline.Definition{Name: "soon", Steps: []pipeline.Step{{Name: "a", Attempts: 3, Do: func(context.Context, pipeline.Input) (any, error) {
		if c.add("a") == 1 {
			return nil, pipeline.RetryAt(errors.New("not yet"), time.Now().Add(50*time.Millisecond))
		}
		return 1, nil
	}}}}
	e := engine(t, t.TempDir(), d)
	stop := make(chan struct{})
	_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{Stop: stop, Observe: func(ev pipeline.Event) {
		if ev.Kind == pipeline.EventWaiting {
			close(stop)
		}
	}})
	if !errors.Is(err, pipeline.ErrStopped) {
		t.Fatal(err)
	}
	if report, err := e.Resume(t.Context(), "r", pipeline.DurableOptions{}); err != nil || report.Steps[0].Attempts != 2 || c.of("a") != 2 {
		t.Errorf("report %+v, %v, begun %d times", report, err, c.of("a"))
	}
}

// TestLargeOutputs: each may have 64 KiB, and those of many tasks that end together too.
func TestLargeOutputs(t *testing.T) {
	large := strings.Repeat("x", pipeline.MaxOutput-2)
	d := &pipeline.Definition{Name: "large", Parallel: 100}
	for i := range 100 {
		d.Steps = append(d.Steps, pipeline.Step{Name: fmt.Sprint("s", i), Do: value(large)})
	}
	e := engine(t, t.TempDir(), d)
	report, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range show(t, e, "r").Report.Steps {
		if len(s.Output) != pipeline.MaxOutput {
			t.Fatalf("step %s has an output of %d bytes", s.Name, len(s.Output))
		}
	}
	if len(report.Steps) != 100 {
		t.Errorf("%d steps", len(report.Steps))
	}
}

// TestStateThatCannotBeUsed: each error names the place and what to try.
func TestStateThatCannotBeUsed(t *testing.T) {
	d := &pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "a", Do: value(1)}}}
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		try  string
	}{
		"a file instead of a directory": {func(t *testing.T, dir string) { t.Helper(); write(t, dir, "x") }, "name a directory"},
		"no database": {func(t *testing.T, dir string) {
			t.Helper()
			mkdir(t, dir)
			write(t, filepath.Join(dir, "runs.db"), strings.Repeat("this is no database. ", 1000))
		}, "move "},
		"a directory of that name": {func(t *testing.T, dir string) { t.Helper(); mkdir(t, filepath.Join(dir, "runs.db")) }, "look at "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			c.make(t, dir)
			e, err := perduredbos.Open(t.Context(), perduredbos.Config{Dir: dir, Env: env(d)})
			if err == nil {
				_, err = e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
				_ = e.Close()
			}
			s, ok := errors.AsType[*perduredbos.StateError](err)
			if !ok || !strings.Contains(s.Error(), dir) || !strings.Contains(s.Hint(), c.try) {
				t.Errorf("error %v (%T), hint %q; want one that names %s and hints %q", err, err, hint(s), dir, c.try)
			}
		})
	}
}

func hint(s *perduredbos.StateError) string {
	if s == nil {
		return ""
	}
	return s.Hint()
}

func TestAnOldSchemaIsBroughtUpToDate(t *testing.T) {
	d := &pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "a", Do: value(1)}}}
	dir := t.TempDir()
	e := engine(t, dir, d)
	if _, err := e.Run(t.Context(), freeze(t, d, "old", nil), pipeline.DurableOptions{}); err != nil {
		t.Fatal(err)
	}
	// The last migration makes an index, if it is not there.
	db := sqlite(t, dir)
	if _, err := db.Exec("update dbos_migrations set version = 124"); err != nil {
		t.Fatal(err)
	}
	other := engine(t, dir, d)
	if _, err := other.List(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "schema version") {
		t.Errorf("List of an old schema = %v", err)
	}
	if _, err := other.Run(t.Context(), freeze(t, d, "new", nil), pipeline.DurableOptions{}); err != nil {
		t.Fatal(err)
	}
	if runs, err := other.List(t.Context(), 0); err != nil || len(runs) != 2 {
		t.Errorf("List = %v, %v", runs, err)
	}
}

func TestTheEnvironmentCannotNameTheExecutor(t *testing.T) {
	t.Setenv("DBOS__VMID", "one-for-all")
	d := &pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "a", Do: value(1)}}}
	e := engine(t, t.TempDir(), d)
	_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
	if err == nil || !strings.Contains(err.Error(), "DBOS__VMID") {
		t.Errorf("error %v, want one that names the variable", err)
	}
}

func TestOpenWantsOnePlace(t *testing.T) {
	for _, c := range []perduredbos.Config{{}, {Dir: "x", DatabaseURL: "postgres://y"}, {Dir: "x", Poll: -1}} {
		if _, err := perduredbos.Open(t.Context(), c); err == nil {
			t.Errorf("Open(%+v) has no error", c)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(name, 0o700); err != nil {
		t.Fatal(err)
	}
}

package bench_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/bench"
	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/measure"
	"github.com/perdure/perdure/bench/server"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

//nolint:gochecknoglobals // flags and the shared server of the package
var (
	full = flag.Bool("full", false, "measure in full, as \"make bench\" does, and print the tables")
	docs = flag.String("docs", "", "directory in which to put the tables (benchmarks.md) and pictures (images/)")

	postgres pgclustertest.Shared
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(postgres.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// extent is how much is measured.
type extent struct {
	calls         measure.Plan
	operations    int
	callers       []int
	rounds        int
	turn          time.Duration
	streams       int
	healthyCalls  int
	stormCallers  []int
	healthy, down time.Duration
	storm         server.Storm
}

func chosen() extent {
	if *full {
		return extent{
			calls: measure.Plan{Rounds: 15, Turn: 30 * time.Millisecond}, operations: 100_000,
			callers: []int{1, 8, 64}, rounds: 8, turn: 250 * time.Millisecond,
			streams: 20, healthyCalls: 1_000_000,
			stormCallers: []int{1, 2, 5, 10, 20, 50, 100, 200}, healthy: 10 * time.Second, down: 30 * time.Second,
			storm: server.Storm{Slot: time.Second, Healthy: 4, Trouble: 10, After: 14, Timeout: time.Second, Load: .7, Capacity: .3, Cost: 100_000},
		}
	}
	return extent{
		calls: measure.Plan{Rounds: 1, Turn: time.Millisecond}, operations: 1000,
		callers: []int{2}, rounds: 1, turn: 10 * time.Millisecond,
		streams: 1, healthyCalls: 1000,
		stormCallers: []int{1, 5}, healthy: 2 * time.Second, down: 5 * time.Second,
		storm: server.Storm{Slot: 20 * time.Millisecond, Healthy: 2, Trouble: 2, After: 3, Timeout: 10 * time.Second, Load: .7, Capacity: .3, Cost: 1000},
	}
}

// TestTables measures everything in one run and prints it: briefly, so that
// all of it is known to work, or in full.
func TestTables(t *testing.T) {
	e := chosen()
	var out bytes.Buffer
	began := time.Now()
	section := func(title, text string, sections ...figure.Section) {
		fmt.Fprintf(&out, "## %s\n\n", title)
		if text != "" {
			fmt.Fprintf(&out, "%s\n\n", text)
		}
		for _, s := range sections {
			if _, err := s.WriteTo(&out); err != nil {
				t.Fatal(err)
			}
		}
	}
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	calls, err := bench.Calls(t.Context(), e.calls)
	fail(err)
	section("A call", fmt.Sprintf("Medians of %d rounds, in each of which all had a turn of %s. What else runs on a machine lengthens the first figure and not that of CPU time, "+
		"which is compared with perdure's (round by round); in parallel the first is.", e.calls.Rounds, e.calls.Turn), calls...)

	memory, err := bench.Memory(t.Context(), e.operations)
	fail(err)
	section("Memory", "", memory)

	live, err := bench.Live(t.Context(), postgres.Database(t), postgres.Cluster(t).PID(), e.callers, e.rounds, e.turn)
	fail(err)
	section("PostgreSQL", fmt.Sprintf("PostgreSQL %s on the same machine, TCP on loopback, pools of 8 connections; medians of %d rounds of %s.",
		postgres.Cluster(t).Version(), e.rounds, e.turn), live...)

	bubble := func(f func(context.Context)) {
		synctest.Test(t, func(t *testing.T) { f(t.Context()) })
	}
	detection, detected, err := bench.Detection(bubble, e.streams, e.healthyCalls)
	fail(err)
	section("Detection", "", detection)
	storms, stormed, err := bench.Storms(bubble, e.stormCallers, e.healthy, e.down)
	fail(err)
	section("Storm", fmt.Sprintf("Callers call, pause for 45 ms and call again; the server is healthy for %s and then fails every attempt for %s. "+
		"Counted is the time in which it is down.", e.healthy, e.down), storms...)
	liveStorm, weathered, err := bench.LiveStorm(t.Context(), postgres.Database(t), e.storm)
	fail(err)
	section("Storm on a live server", "![The part of the calls that succeed before, while and after a server loses most of its capacity, by policy](images/storm-live.svg)", liveStorm)

	if *full {
		fmt.Fprintf(&out, "%s, %d cores, %s; measured in %s.\n", runtime.Version(), runtime.NumCPU(), runtime.GOARCH, time.Since(began).Round(time.Second))
		if _, err := os.Stdout.Write(out.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	checkTables(t, out.String())
	dir := *docs
	if dir == "" {
		dir = t.TempDir()
		fail(os.WriteFile(filepath.Join(dir, "benchmarks.md"), []byte("# Benchmarks\n\n"+mark+"\nold\n"), 0o600))
	}
	fail(os.MkdirAll(filepath.Join(dir, "images"), 0o750))
	draw(t, filepath.Join(dir, "images", "detection.svg"), detected)
	draw(t, filepath.Join(dir, "images", "storm.svg"), stormed)
	draw(t, filepath.Join(dir, "images", "storm-live.svg"), weathered)
	replaceTables(t, filepath.Join(dir, "benchmarks.md"), out.String())
}

// checkTables holds the printed page to what every row must be: complete.
func checkTables(t *testing.T, page string) {
	t.Helper()
	columns, tables := 0, 0
	for line := range strings.SplitSeq(page, "\n") {
		n := strings.Count(line, "|")
		switch {
		case n == 0:
			columns = 0
		case columns == 0:
			columns, tables = n, tables+1
		case n != columns:
			t.Errorf("%d columns, want %d: %s", n-1, columns-1, line)
		}
		if strings.Contains(line, "NaN") || strings.Contains(line, "Inf") {
			t.Errorf("not a number: %s", line)
		}
	}
	const want = 19
	if tables != want {
		t.Errorf("%d tables, want %d", tables, want)
	}
}

func draw(t *testing.T, path string, c io.WriterTo) {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// mark stands in docs/benchmarks.md before the tables.
const mark = "<!-- What follows is what make bench printed. -->"

func replaceTables(t *testing.T, path, tables string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(page), mark)
	if !found {
		t.Fatalf("%s has no line %q", path, mark)
	}
	if err := os.WriteFile(path, []byte(before+mark+"\n\n"+strings.TrimRight(tables, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

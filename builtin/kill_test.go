package builtin_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
)

// TestKilledServersAndRunsLoseAndDoubleNothing runs a pipeline whose server is
// killed with SIGKILL at its steps' progress, and which is itself stopped twice and begun
// again in another "process": other pools, other components, the same run.
func TestKilledServersAndRunsLoseAndDoubleNothing(t *testing.T) {
	c := pgclustertest.New(t, pgcluster.Config{})
	url := pgclustertest.Database(t, c)
	h := open(t, url)
	h.exec(t, `create table thing (id int, word text); create table rejected (line int, reason text, text text);
		create table total (name text, n int)`)
	if err := h.check.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const rows = 2000
	var b strings.Builder
	b.WriteString("id,word\n")
	for i := range rows {
		if i%100 == 7 {
			b.WriteString("bad,line\n")
			continue
		}
		fmt.Fprintf(&b, "%d,w%d\n", i, i%10)
	}
	file := filepath.Join(t.TempDir(), "things.csv")
	write(t, file, b.String())
	d := parse(t, `
name: p
params: {file: {type: path}, words: {type: list, default: [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9]}}
steps:
  - {name: load, uses: sql.copy, with: {table: thing, file: "${params.file}", batch: 50, rejects: rejected}, retry: {runs: 20, park: 1m}}
  - name: count
    uses: sql.exec
    needs: [load]
    foreach: ${params.words}
    retry: {runs: 20, park: 1m}
    with: {sql: "insert into total select $1, count(*) from thing where word = $1", args: ["${item}"]}
  - name: sum
    uses: sql.query
    needs: [count]
    retry: {runs: 20, park: 1m}
    with: {sql: "select sum(n) as n, count(*) as words from total"}
`)
	stops := []int{12, 30} // progress events after which the run is stopped
	kills := map[int]bool{5: true, 18: true, 35: true, 44: true}
	events, runs, killed := 0, 0, 0
	var report pipeline.Report
	for {
		runs++
		if runs > 1 {
			h = open(t, url)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("killed")
		kill := make(chan struct{}, len(kills))
		done := make(chan error, 1)
		go func() {
			var err error
			for range kill {
				err = errors.Join(err, c.Kill(), c.Start(context.WithoutCancel(ctx)))
			}
			done <- err
		}()
		var err error
		report, err = pipeline.Run(ctx, d, pipeline.Options{
			Run: "run-1", Params: map[string]string{"file": file}, Env: pipeline.Env{Invoker: h},
			Observe: func(e pipeline.Event) {
				if e.Kind != pipeline.EventProgress {
					return
				}
				events++
				if kills[events] {
					killed++
					kill <- struct{}{}
				}
				if len(stops) > 0 && events == stops[0] {
					stops = stops[1:]
					cancel(why)
				}
			},
		})
		close(kill)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, why) || runs > 5 {
			t.Fatalf("run %d = %v", runs, err)
		}
	}
	t.Logf("%d runs, %d kills of the server, %d progress events", runs, killed, events)
	if killed < 3 || runs != 3 {
		t.Errorf("%d kills and %d runs, want at least 3 and 3", killed, runs)
	}
	if got := output(t, report, "sum"); got != `{"count":1,"rows":[{"n":1980,"words":10}]}` {
		t.Errorf("sum = %s", got)
	}
	if got := output(t, report, "load"); got != `{"batches":40,"rejected":20,"rows":1980}` {
		t.Errorf("load = %s", got)
	}
	last := open(t, url)
	if got := last.text(t, "select count(*), count(distinct id), (select count(*) from rejected), (select count(distinct line) from rejected) from thing"); got != "1980 1980 20 20" {
		t.Errorf("rows, distinct, rejects, distinct = %s, want 1980 1980 20 20", got)
	}
}

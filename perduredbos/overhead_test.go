package perduredbos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

const shapeSteps = 1000

// noop is the component that does nothing.
type noop struct{}

func (noop) Invoke(context.Context, string, string, json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage("true"), nil
}

// shapes are pipelines of a thousand steps that do nothing: one after the other, 500 at once in two
// rows, and diamonds of four.
func shapes() map[string]*pipeline.Definition {
	step := func(i int, needs ...int) pipeline.Step {
		s := pipeline.Step{Name: fmt.Sprint("s", i), Uses: "no.op"}
		for _, n := range needs {
			s.Needs = append(s.Needs, fmt.Sprint("s", n))
		}
		return s
	}
	chain := &pipeline.Definition{Name: "chain", Parallel: 8}
	fan := &pipeline.Definition{Name: "fan-out", Parallel: 500}
	diamond := &pipeline.Definition{Name: "diamond", Parallel: 8}
	for i := range shapeSteps {
		switch {
		case i == 0:
			chain.Steps, fan.Steps, diamond.Steps = append(chain.Steps, step(i)), append(fan.Steps, step(i)), append(diamond.Steps, step(i))
			continue
		case i <= shapeSteps/2:
			fan.Steps = append(fan.Steps, step(i, 0))
		default:
			fan.Steps = append(fan.Steps, step(i, i-shapeSteps/2))
		}
		chain.Steps = append(chain.Steps, step(i, i-1))
		switch i % 4 { // 4k above 4k+1 and 4k+2, both above 4k+3
		case 0:
			diamond.Steps = append(diamond.Steps, step(i, i-1))
		case 3:
			diamond.Steps = append(diamond.Steps, step(i, i-2, i-1))
		default:
			diamond.Steps = append(diamond.Steps, step(i, i-i%4))
		}
	}
	return map[string]*pipeline.Definition{"chain": chain, "fan-out of 500": fan, "diamonds": diamond}
}

// bare does the same with errgroup alone: a goroutine for each step that waits for those it needs.
func bare(ctx context.Context, d *pipeline.Definition) error {
	done := make(map[string]chan struct{}, len(d.Steps))
	for _, s := range d.Steps {
		done[s.Name] = make(chan struct{})
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range d.Steps {
		g.Go(func() error {
			for _, need := range s.Needs {
				<-done[need]
			}
			defer close(done[s.Name])
			_, err := noop{}.Invoke(ctx, "no", "op", nil)
			return err
		})
	}
	return g.Wait()
}

// TestOverhead prints what a step costs on each engine. It judges nothing but that all
// of them come to the end: times are the machine's.
func TestOverhead(t *testing.T) {
	ways := []struct {
		name string
		run  func(t *testing.T, d *pipeline.Definition) error
	}{
		{"errgroup", func(t *testing.T, d *pipeline.Definition) error { t.Helper(); return bare(t.Context(), d) }},
		{"inline", func(t *testing.T, d *pipeline.Definition) error {
			t.Helper()
			_, err := pipeline.Run(t.Context(), *d, pipeline.Options{Run: "r", Env: pipeline.Env{Invoker: noop{}}})
			return err
		}},
		{"dbos", func(t *testing.T, d *pipeline.Definition) error {
			t.Helper()
			e, err := perduredbos.Open(t.Context(), perduredbos.Config{Dir: t.TempDir(), Env: pipeline.Env{Invoker: noop{}}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				return err
			}
			defer e.Close()
			_, err = e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
			return err
		}},
	}
	all := shapes()
	var b strings.Builder
	fmt.Fprintf(&b, "%d steps that do nothing\n%-16s%-10s%12s%14s%14s", shapeSteps, "shape", "engine", "ms a step", "allocated KB", "heap held KB")
	for _, shape := range []string{"chain", "fan-out of 500", "diamonds"} {
		for _, way := range ways {
			var before, after, held runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			if err := way.run(t, all[shape]); err != nil {
				t.Fatalf("%s on %s: %v", shape, way.name, err)
			}
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			runtime.GC()
			runtime.ReadMemStats(&held)
			fmt.Fprintf(&b, "\n%-16s%-10s%12.4f%14.1f%14d", shape, way.name, took.Seconds()*1000/shapeSteps,
				float64(after.TotalAlloc-before.TotalAlloc)/1024/shapeSteps, (int64(held.HeapAlloc)-int64(before.HeapAlloc))/1024)
		}
	}
	t.Log(b.String())
}

package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
)

const benchSteps = 1000

// shapes are graphs of a thousand steps.
func shapes() map[string]func() Definition {
	step := func(name string, needs ...string) Step {
		return Step{Name: name, Uses: "x.y", Needs: needs, Attempts: 1}
	}
	return map[string]func() Definition{
		"chain": func() Definition {
			d := Definition{Name: "chain"}
			for i := range benchSteps {
				s := step(fmt.Sprintf("s%d", i))
				if i > 0 {
					s.With = json.RawMessage(fmt.Sprintf(`{"n":"${steps.s%d.output}"}`, i-1))
				}
				d.Steps = append(d.Steps, s)
			}
			return d
		},
		"fan-out-500": func() Definition { // twice: one, 498, one
			d := Definition{Name: "fan"}
			for half := range 2 {
				first := step(fmt.Sprintf("first%d", half))
				if half > 0 {
					first.Needs = []string{"last0"}
				}
				last := step(fmt.Sprintf("last%d", half))
				d.Steps = append(d.Steps, first)
				for i := range 498 {
					s := step(fmt.Sprintf("s%d-%d", half, i), first.Name)
					last.Needs = append(last.Needs, s.Name)
					d.Steps = append(d.Steps, s)
				}
				d.Steps = append(d.Steps, last)
			}
			return d
		},
		"diamonds": func() Definition { // one, two, one, two, …
			d := Definition{Name: "diamonds", Steps: []Step{step("join0")}}
			for i := range (benchSteps - 1) / 3 {
				from := fmt.Sprintf("join%d", i)
				a, b := step(fmt.Sprintf("a%d", i), from), step(fmt.Sprintf("b%d", i), from)
				d.Steps = append(d.Steps, a, b, step(fmt.Sprintf("join%d", i+1), a.Name, b.Name))
			}
			return d
		},
	}
}

func nothing(context.Context, string, json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage("1"), nil
}

// BenchmarkThousandSteps is what the engine itself costs. The errgroup has no graph,
// no report, no keys, and no JSON.
func BenchmarkThousandSteps(b *testing.B) {
	for name, shape := range shapes() {
		d := shape()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Run(b.Context(), d, Options{Run: "r", Parallel: 8, Env: Env{Invoker: invokes(nothing)}}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(d.Steps)), "ns/step")
		})
	}
	b.Run("bare-errgroup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g, ctx := errgroup.WithContext(b.Context())
			g.SetLimit(8)
			for range benchSteps {
				g.Go(func() error {
					_, err := nothing(ctx, "", nil)
					return err
				})
			}
			if err := g.Wait(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchSteps), "ns/step")
	})
}

// TestAThousandStepsEnd runs each shape once.
func TestAThousandStepsEnd(t *testing.T) {
	for name, shape := range shapes() {
		d := shape()
		r, err := Run(t.Context(), d, Options{Run: "r", Env: Env{Invoker: invokes(nothing)}})
		if err != nil || len(r.Steps) != benchSteps {
			t.Errorf("%s: %d steps, %v", name, len(r.Steps), err)
		}
		for _, s := range r.Steps {
			if s.Status != StatusSucceeded || s.Attempts != 1 {
				t.Errorf("%s: %s is %s after %d attempts", name, s.Name, s.Status, s.Attempts)
			}
		}
	}
}

package component_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
)

// The method of the benchmarks does next to nothing: what is measured is the
// way to it and back.
func build(_ context.Context, in BuildInput) (BuildOutput, error) {
	return BuildOutput{Rows: len(in.Items)}, nil
}

func BenchmarkInvoke(b *testing.B) {
	small := json.RawMessage(`{"items": [{"id": 1}, {"id": 2}, {"id": 3}]}`)
	items := make([]struct {
		ID int `json:"id"`
	}, 1000)
	large, err := json.Marshal(BuildInput{Items: items})
	if err != nil {
		b.Fatal(err)
	}
	m, err := perdure.New(perdure.Config{Name: "db"})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close(b.Context())
	l := methods(b, component.Config{Manager: m},
		component.Method("build", build),
		component.Method("guarded", build).With(component.Options{Idempotent: true}))
	for _, bench := range []struct {
		name, method string
		in           json.RawMessage
	}{{"small", "build", small}, {"small, idempotent", "guarded", small}, {"1000 items", "build", large}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bench.in)))
			for b.Loop() {
				if _, err := l.Invoke(b.Context(), "c", bench.method, bench.in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("small, Call", func(b *testing.B) {
		b.ReportAllocs()
		in := BuildInput{Items: items[:3]}
		for b.Loop() {
			if _, err := component.Call[BuildInput, BuildOutput](b.Context(), l, "c", "build", in); err != nil {
				b.Fatal(err)
			}
		}
	})
	// What is left when there is no invoker: decode, call, encode.
	b.Run("small, JSON alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in BuildInput
			if err := json.Unmarshal(small, &in); err != nil {
				b.Fatal(err)
			}
			out, err := build(b.Context(), in)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

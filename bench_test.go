package perdure_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
)

var (
	benchOp = perdure.Op{Name: "bench.read", ReadOnly: true}
	noDelay = backoff.Config{Func: func(int) time.Duration { return 0 }}
)

func newManager(tb testing.TB, cfg perdure.Config) *perdure.Manager {
	tb.Helper()
	m, err := perdure.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func succeed(context.Context) error { return nil }

func BenchmarkDo(b *testing.B) {
	m := newManager(b, perdure.Config{})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Do(ctx, benchOp, succeed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	m := newManager(b, perdure.Config{})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := perdure.Get(ctx, m, benchOp, func(context.Context) (int, error) { return 1, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDoParallel(b *testing.B) {
	m := newManager(b, perdure.Config{})
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := m.Do(ctx, benchOp, succeed); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkDoAmongOperations(b *testing.B) {
	m := newManager(b, perdure.Config{})
	ctx := b.Context()
	ops := make([]perdure.Op, 1000)
	for i := range ops {
		ops[i] = perdure.Op{Name: fmt.Sprintf("bench.op-%d", i), ReadOnly: true}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := m.Do(ctx, ops[i%len(ops)], succeed); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkRejected(b *testing.B) {
	m := newManager(b, perdure.Config{})
	ctx := b.Context()
	if err := m.Do(ctx, benchOp, succeed); err != nil {
		b.Fatal(err)
	}
	m.Breaker(benchOp.Name).HoldOpen("bench")
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Do(ctx, benchOp, succeed); err == nil {
			b.Fatal(err)
		}
	}
}

// serializationError is an error as every driver's: it has a SQLSTATE.
type serializationError struct{}

func (serializationError) Error() string    { return "could not serialize access" }
func (serializationError) SQLState() string { return "40001" }

func BenchmarkThreeFailures(b *testing.B) {
	m := newManager(b, perdure.Config{Policy: perdure.Policy{MaxAttempts: 3, Contention: noDelay}})
	ctx := b.Context()
	var failure error = serializationError{}
	fail := func(context.Context) error { return failure }
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Do(ctx, benchOp, fail); err == nil {
			b.Fatal("no error")
		}
	}
}

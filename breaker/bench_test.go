package breaker

import (
	"testing"
	"time"
)

func BenchmarkSuccess(b *testing.B) {
	br, err := New(Config{}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p, ok := br.Admit(); ok {
			p.Success(time.Millisecond)
		}
	}
}

func BenchmarkSuccessParallel(b *testing.B) {
	br, err := New(Config{}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, ok := br.Admit(); ok {
				p.Success(time.Millisecond)
			}
		}
	})
}

// BenchmarkFailure holds the breaker closed: every failure is judged, none opens it.
func BenchmarkFailure(b *testing.B) {
	br, err := New(Config{}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	br.HoldClosed("benchmark")
	b.ReportAllocs()
	for b.Loop() {
		if p, ok := br.Admit(); ok {
			p.Failure(time.Millisecond)
		}
	}
}

func BenchmarkRefusal(b *testing.B) {
	br, err := New(Config{OpenFor: time.Hour, MaxOpenFor: time.Hour}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	br.Trip("benchmark")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := br.Admit(); ok {
			b.Fatal("admitted")
		}
	}
}

func BenchmarkSuccessUnderARateRule(b *testing.B) {
	br, err := New(Config{Rule: Rate}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p, ok := br.Admit(); ok {
			p.Success(time.Millisecond)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(Config{}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDesign(b *testing.B) {
	for b.Loop() {
		design(0.01, bad(0.01), 1e6)
	}
}

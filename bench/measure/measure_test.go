package measure_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perdure/perdure/bench/measure"
)

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{nil, .5, 0},
		{[]float64{7}, .99, 7},
		{[]float64{3, 1, 2}, .5, 2},
		{[]float64{4, 1, 3, 2}, .5, 2.5},
		{[]float64{0, 10}, .25, 2.5},
		{[]float64{5, 1}, 1, 5},
	} {
		if got := measure.Quantile(c.values, c.q); got != c.want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
}

// spin is work whose cost is known but for a factor.
func spin(rounds int) func(n int) error {
	var sink atomic.Uint64
	return func(n int) error {
		x := uint64(1)
		for range n * rounds {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		sink.Store(x)
		return nil
	}
}

func TestCostsCompareWithTheReference(t *testing.T) {
	costs, err := measure.Costs(measure.Plan{Rounds: 9, Turn: 2 * time.Millisecond, Workers: 1}, []measure.Contender{
		{Name: "hundred", Run: spin(100)}, {Name: "thousand", Run: spin(1000)},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if costs[0].Ratio != 1 {
		t.Errorf("the reference costs %v times itself", costs[0].Ratio)
	}
	if r := costs[1].Ratio; r < 3 || r > 30 { // the machine may be busy
		t.Errorf("ten times the work costs %v times as much", r)
	}
	if costs[0].Nanos <= 0 || costs[0].CPU <= 0 || costs[0].Name != "hundred" {
		t.Errorf("costs %+v", costs[0])
	}
}

func TestWorkersShareTheWork(t *testing.T) {
	var calls atomic.Int64
	_, err := measure.Costs(measure.Plan{Rounds: 1, Turn: time.Millisecond, Workers: 4}, []measure.Contender{
		{Name: "count", Run: func(n int) error { calls.Add(int64(n)); return nil }},
	}, 0)
	if err != nil || calls.Load() == 0 {
		t.Errorf("Costs() = %v after %d calls", err, calls.Load())
	}
}

func TestAllocationsAreCounted(t *testing.T) {
	var kept []byte
	costs, err := measure.Costs(measure.Plan{Rounds: 1, Turn: time.Millisecond, Workers: 1}, []measure.Contender{
		{Name: "none", Run: spin(10)},
		{Name: "one", Run: func(n int) error {
			for range n {
				kept = make([]byte, 64)
			}
			return nil
		}},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c := costs[0]; c.Allocs > .05 {
		t.Errorf("none: %v allocations", c.Allocs)
	}
	if c := costs[1]; c.Allocs < 1 || c.Allocs > 1.05 || c.Bytes < 64 || c.Bytes > 70 {
		t.Errorf("one: %v allocations of %v bytes, want 1 of 64", c.Allocs, c.Bytes)
	}
	_ = kept
}

func TestAnErrorEndsTheComparison(t *testing.T) {
	broken := errors.New("broken")
	for _, workers := range []int{1, 2} {
		_, err := measure.Costs(measure.Plan{Rounds: 1, Turn: time.Millisecond, Workers: workers}, []measure.Contender{
			{Name: "broken", Run: func(int) error { return broken }},
		}, 0)
		if !errors.Is(err, broken) {
			t.Errorf("%d workers: Costs() = %v, want %v", workers, err, broken)
		}
	}
}

func TestMemoryIsWhatIsKept(t *testing.T) {
	const n = 1000
	bytes, err := measure.Memory(n, func() (any, error) {
		kept := make([]*[1024]byte, n)
		for i := range kept {
			kept[i] = new([1024]byte)
		}
		return kept, nil
	})
	if err != nil || bytes < 1024 || bytes > 1200 {
		t.Errorf("Memory() = %v, %v; want 1024 and a pointer for each", bytes, err)
	}
}

package perdure

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/perdure/perdure/pgerr"
)

func TestHistogramBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<43).Draw(t, "d"))
		i := bucketOf(d)
		upper := bucketBound(i)
		if upper >= 0 && d >= upper {
			t.Fatalf("bucketOf(%d) = %d, whose bound is %d", d, i, upper)
		}
		if i > 0 && d < bucketBound(i-1) {
			t.Fatalf("bucketOf(%d) = %d, though bucket %d ends at %d", d, i, i-1, bucketBound(i-1))
		}
		if i > 1 && upper > 0 && float64(upper) > 1.2501*float64(bucketBound(i-1)) {
			t.Fatalf("bucket %d is wider than a quarter", i)
		}
	})
}

func TestHistogramQuantile(t *testing.T) {
	var h spread
	if d, n := h.quantile(0.5); d != 0 || n != 0 {
		t.Errorf("quantile of nothing = %s of %d", d, n)
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 0: time.Millisecond, 1: time.Second} {
		got, n := h.quantile(q)
		if got < want || float64(got) > 1.26*float64(want) || n != 1000 {
			t.Errorf("quantile(%v) = %s of %d, want between %s and 26 %% more, of 1000", q, got, n, want)
		}
	}
	h.add(100 * time.Hour)
	sum, other := h.tally(), new(spread).tally()
	sum.merge(&other)
	if m := sum.histogram(); m.Count != 1001 || m.Buckets[len(m.Buckets)-1].UpperBound >= 0 {
		t.Errorf("merge: %d counted, last bucket %+v", m.Count, m.Buckets[len(m.Buckets)-1])
	}
}

// TestBudgetKeepsItsRules drives a budget at random and checks both rules
// against a plain record of what happened.
func TestBudgetKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var successes, calls uint64
		b := budget{
			cfg:    BudgetConfig{Floor: float64(rapid.IntRange(0, 10).Draw(t, "floor")), Ratio: 0.1},
			counts: func() (uint64, uint64) { return successes, calls },
		}
		type repeat struct {
			at   time.Duration
			cost float64
		}
		var paid []repeat
		var begun []time.Duration
		now := time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now += time.Duration(rapid.Int64Range(0, int64(400*time.Millisecond)).Draw(t, "pause"))
			for range rapid.IntRange(0, 50).Draw(t, "calls") {
				calls++
				begun = append(begun, now)
				if rapid.Bool().Draw(t, "ok") {
					successes++
				}
			}
			cost := rapid.SampledFrom([]float64{priceConnection, priceOverload, priceOther}).Draw(t, "price")
			if b.affords(now, cost) != b.pay(now, cost) {
				t.Fatal("affords and pay disagree")
			}
			if b.slots[b.slot%budgetSlots].repeats > 0 && int(b.paid) > len(paid) {
				paid = append(paid, repeat{now, cost})
			}
			var repeats, recent, coins float64
			for _, p := range paid {
				if now-p.at < time.Second {
					repeats++
				}
				coins += p.cost
			}
			for _, at := range begun {
				if now-at < 1200*time.Millisecond+400*time.Millisecond { // a pause may spread the calls before it
					recent++
				}
			}
			if repeats > max(b.cfg.Floor, 0.1*recent) {
				t.Fatalf("%v repeats in the second before %s, floor %v, %v calls", repeats, now, b.cfg.Floor, recent)
			}
			if floor := b.cfg.Floor * (now.Seconds() + 1.1); coins > float64(successes)+priceConnection*floor {
				t.Fatalf("repeats worth %v coins, but only %d successes and a floor of %v repeats", coins, successes, floor)
			}
		}
	})
}

func TestRateForgetsAfterFiveMinutes(t *testing.T) {
	var r rate
	if v := r.value(0); v != 1 {
		t.Errorf("rate of nothing = %v, want 1", v)
	}
	r.add(0, false)
	r.add(time.Minute, true)
	if v := r.value(2 * time.Minute); v != 0.5 {
		t.Errorf("rate = %v, want 0.5", v)
	}
	if v := r.value(rateWindow + 20*time.Second); v != 1 {
		t.Errorf("rate after the failure is forgotten = %v, want 1", v)
	}
	if v := r.value(time.Hour); v != 1 {
		t.Errorf("rate after an hour = %v, want 1", v)
	}
}

func TestRound(t *testing.T) {
	for in, want := range map[time.Duration]string{0: "0s", 1234: "1.23µs", 3214 * time.Millisecond: "3.21s", 999: "999ns", 754*time.Second + 1: "12m34s"} {
		if got := round(in).String(); got != want {
			t.Errorf("round(%d) = %s, want %s", in, got, want)
		}
	}
}

func TestCountersOfSQLStatesAreBounded(t *testing.T) {
	var s stats
	for i := range 5000 {
		s.troubled().failure(&pgerr.Verdict{SQLState: fmt.Sprintf("X%04d", i%100)}, 0)
	}
	got := map[string]uint64{}
	s.addStates(got)
	if len(got) != maxStates+1 || got["X0000"] != 50 || got[otherName] != 36*50 {
		t.Errorf("%d SQLSTATEs are counted, %d times the first and %d others; want %d, 50 and 1800",
			len(got), got["X0000"], got[otherName], maxStates+1)
	}
}

// TestAnOperationIsSmall holds the cost of a name, its histogram aside, to 512
// bytes.
func TestAnOperationIsSmall(t *testing.T) {
	const names = 5000
	m, err := New(Config{MaxOperations: names})
	if err != nil {
		t.Fatal(err)
	}
	ops := make([]Op, names)
	for i := range ops {
		ops[i] = Op{Name: fmt.Sprintf("small.%d", i)}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, op := range ops {
		if err := m.Do(t.Context(), op, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc)/names - int64(unsafe.Sizeof(histogram{}))
	t.Logf("%d bytes for each operation, its histogram of %d bytes aside", each, unsafe.Sizeof(histogram{}))
	if each > 512 {
		t.Errorf("%d bytes for each operation, want at most 512", each)
	}
	runtime.KeepAlive(m)
}

package perdureprom_test

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"

	"github.com/perdure/perdure"
)

// exported returns the histogram of calls that a Manager exports after calls of
// these durations.
func exported(t *testing.T, durations []time.Duration) *dto.Histogram {
	t.Helper()
	var h *dto.Histogram
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, perdure.Config{})
		for _, d := range durations {
			if err := m.Do(t.Context(), read, takes(d, nil)); err != nil {
				t.Fatal(err)
			}
		}
		f := gather(t, registry(t, newCollector(t, m)))
		h = f["database_operation_duration_seconds"].GetMetric()[0].GetHistogram()
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// bounds returns the bounds of the native bucket of each observation, rising.
// Those of the zero bucket have a lower bound of 0.
func bounds(h *dto.Histogram) (lower, upper []float64) {
	for range h.GetZeroCount() {
		lower, upper = append(lower, 0), append(upper, h.GetZeroThreshold())
	}
	width := math.Exp2(-float64(h.GetSchema()))
	index, count, next := 0, int64(0), 0
	for _, span := range h.GetPositiveSpan() {
		index += int(span.GetOffset())
		for range span.GetLength() {
			count += h.GetPositiveDelta()[next]
			next++
			for range count {
				lower = append(lower, math.Exp2(float64(index-1)*width))
				upper = append(upper, math.Exp2(float64(index)*width))
			}
			index++
		}
	}
	return lower, upper
}

func TestHistogramsAreFaithful(t *testing.T) {
	const largest = 1<<41 - 1 // what is longer has no bound
	draw := rapid.Custom(func(r *rapid.T) time.Duration {
		if rapid.Bool().Draw(r, "at a bound") { // where mistakes are made
			exp := rapid.IntRange(10, 40).Draw(r, "exp")
			quarter := rapid.IntRange(0, 3).Draw(r, "quarter")
			return time.Duration(1<<exp + quarter<<(exp-2) + rapid.IntRange(-1, 1).Draw(r, "off"))
		}
		return time.Duration(math.Exp2(rapid.Float64Range(0, 41).Draw(r, "log")) - 0.5)
	})
	rapid.Check(t, func(r *rapid.T) {
		durations := rapid.SliceOfN(draw, 1, 40).Draw(r, "durations")
		h := exported(t, durations)
		slices.Sort(durations)
		var sum time.Duration
		for _, d := range durations {
			sum += d
		}
		if h.GetSampleCount() != uint64(len(durations)) || h.GetSampleSum() != sum.Seconds() {
			r.Errorf("count %d, sum %v, want %d and %v", h.GetSampleCount(), h.GetSampleSum(), len(durations), sum.Seconds())
		}
		for _, b := range h.GetBucket() {
			var want uint64
			for _, d := range durations {
				if d.Seconds() < b.GetUpperBound() {
					want++
				}
			}
			if b.GetCumulativeCount() != want {
				r.Errorf("le %v: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), want)
			}
		}
		lower, upper := bounds(h)
		if len(lower) != len(durations) {
			r.Fatalf("%d observations in native buckets, want %d", len(lower), len(durations))
		}
		for i, d := range durations { // the order is kept, so the i-th is in the i-th bucket
			if d > largest {
				continue
			}
			if lower[i] == 0 {
				if d >= 4096 {
					r.Errorf("%v is in the zero bucket", d)
				}
				continue
			}
			if high, low := upper[i]/d.Seconds(), d.Seconds()/lower[i]; d < 4096 || high > 1.22 || low > 1.22 {
				r.Errorf("%v is in the native bucket from %v to %v: further than 22 %%", d, lower[i], upper[i])
			}
		}
	})
}

func TestVeryLongCallsAreAboveAllBounds(t *testing.T) {
	h := exported(t, []time.Duration{2 * time.Hour, time.Hour})
	if n := h.GetBucket()[len(h.GetBucket())-1].GetCumulativeCount(); n != 0 || h.GetSampleCount() != 2 || h.GetSampleSum() != 3*3600 {
		t.Errorf("%d below the last bound, %d of %v s in all, want 0, 2 and 10800", n, h.GetSampleCount(), h.GetSampleSum())
	}
	if lower, upper := bounds(h); len(lower) != 2 || lower[0] < 2199 || upper[1] > 2749 {
		t.Errorf("native buckets from %v to %v, want both between 2⁴¹ ns and 1.25 × that", lower, upper)
	}
	if len(h.GetPositiveSpan()) != 1 {
		t.Errorf("%d spans, want one", len(h.GetPositiveSpan()))
	}
}

func TestClassicBoundsRise(t *testing.T) {
	h := exported(t, []time.Duration{time.Millisecond})
	last := 0.0
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() <= last {
			t.Errorf("%v follows %v", b.GetUpperBound(), last)
		}
		last = b.GetUpperBound()
	}
	if n := len(h.GetBucket()); n != 17 {
		t.Errorf("%d classic buckets, want 17: each costs a series for each operation", n)
	}
}

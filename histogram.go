package perdure

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/stripe"
)

// A tally counts durations in buckets that are spaced evenly within each
// power of two (four to a power, so that a bucket is at most 25 % wide), from
// 4.096 µs to 2⁴¹ ns ≈ 37 min. It is the log-linear scheme of HdrHistogram
// (G. Tene) with two bits of mantissa.
type tally struct {
	sum    time.Duration
	counts [histogramBuckets]uint64
}

// A histogram is a tally without a lock: adding is two atomic additions.
type histogram struct {
	sum    atomic.Int64
	counts [histogramBuckets]atomic.Uint64
}

const (
	histogramMinExp  = 12 // below 2¹² ns everything is in bucket 0
	histogramMaxExp  = 41
	histogramBuckets = 1 + (histogramMaxExp-histogramMinExp)*4 + 1 // the last one is open
)

func (t *tally) add(d time.Duration) {
	t.counts[bucketOf(d)]++
	t.sum += d
}

// merge adds what other has counted.
func (t *tally) merge(other *tally) {
	t.sum += other.sum
	for i, n := range other.counts {
		t.counts[i] += n
	}
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	h.sum.Add(int64(d))
}

// spread is a histogram that many goroutines add to: it is split when they get
// into each other's way.
type spread struct {
	base    histogram
	stripes atomic.Pointer[[stripe.Count]stripedHistogram]
}

type stripedHistogram struct {
	histogram

	_ [128]byte // what the processor fetches at once is not shared with the next one
}

func (s *spread) add(d time.Duration) {
	if more := s.stripes.Load(); more != nil {
		more[stripe.Mine()].add(d)
		return
	}
	s.base.counts[bucketOf(d)].Add(1)
	if sum := s.base.sum.Load(); !s.base.sum.CompareAndSwap(sum, sum+int64(d)) {
		s.base.sum.Add(int64(d))
		if stripe.Splits(uint64(sum)) { //nolint:gosec // any bits will do
			s.stripes.CompareAndSwap(nil, new([stripe.Count]stripedHistogram))
		}
	}
}

// tally returns what s has counted.
func (s *spread) tally() (t tally) {
	s.base.addTo(&t)
	if more := s.stripes.Load(); more != nil {
		for i := range more {
			more[i].addTo(&t)
		}
	}
	return t
}

func (s *spread) quantile(q float64) (time.Duration, uint64) {
	t := s.tally()
	return t.quantile(q)
}

func (h *histogram) addTo(t *tally) {
	t.sum += time.Duration(h.sum.Load())
	for i := range h.counts {
		t.counts[i] += h.counts[i].Load()
	}
}

// bucketOf returns the index of the bucket that d falls into.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 1<<histogramMinExp {
		return 0
	}
	exp := bits.Len64(n) - 1
	if exp >= histogramMaxExp {
		return histogramBuckets - 1
	}
	return 1 + (exp-histogramMinExp)*4 + int(n>>(exp-2)&3)
}

// bucketBound returns the upper bound, exclusive, of a bucket; that of the
// last one is negative: it has none.
func bucketBound(i int) time.Duration {
	if i == histogramBuckets-1 {
		return -1
	}
	exp, quarter := histogramMinExp+i/4, i%4
	return time.Duration(1<<exp + quarter<<(exp-2))
}

// quantile returns an upper bound of the q-th quantile, exact to a bucket, and
// the number of durations counted.
func (t *tally) quantile(q float64) (time.Duration, uint64) {
	var total uint64
	for _, n := range t.counts {
		total += n
	}
	if total == 0 {
		return 0, 0
	}
	rank := min(uint64(q*float64(total)), total-1)
	var below uint64
	for i, n := range t.counts {
		below += n
		if below > rank && i < histogramBuckets-1 {
			return bucketBound(i), total
		}
	}
	return 1 << histogramMaxExp, total
}

// Histogram is a distribution of durations at one moment.
type Histogram struct {
	Count   uint64
	Sum     time.Duration
	Buckets []Bucket // those that are not empty, rising
}

// Bucket counts the durations below UpperBound that no lower bucket counts.
type Bucket struct {
	UpperBound time.Duration // negative: no bound
	Count      uint64
}

// histogram returns t as others see it.
func (t *tally) histogram() Histogram {
	out := Histogram{Sum: t.sum}
	for i, n := range t.counts {
		if n > 0 {
			out.Count += n
			out.Buckets = append(out.Buckets, Bucket{UpperBound: bucketBound(i), Count: n})
		}
	}
	return out
}

package perdureprom

import (
	"math"
	"math/bits"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/perdure/perdure"
)

const (
	// nativeSchema has eight buckets to a power of two, each 9 % wide. It is the coarsest that keeps the
	// Manager's buckets apart, whose middles are at least 15 % apart.
	nativeSchema     = 3
	nativePerDoubled = 1 << nativeSchema

	// zeroBelow is the upper bound of a Manager's lowest bucket, which becomes the zero bucket.
	zeroBelow = 1 << 12 * time.Nanosecond
	// openFrom is the lower bound of a Manager's highest bucket, which has no upper one.
	openFrom = 1 << 41 * time.Nanosecond
)

// classicBounds are the upper bounds of the classic buckets: powers of two of a
// nanosecond, which are bounds of the Manager's own, from 262 µs to 4.6 min, by
// factors of two where statements are and of four beside.
func classicBounds() []time.Duration {
	out := []time.Duration{1 << 18}
	for exp := 20; exp <= 32; exp++ {
		out = append(out, 1<<exp)
	}
	return append(out, 1<<34, 1<<36, 1<<38)
}

// both is a native histogram with classic buckets beside.
type both struct {
	prometheus.Metric

	classic []*dto.Bucket
}

// Write adds the classic buckets to what the native histogram writes.
func (b *both) Write(out *dto.Metric) error {
	if err := b.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.CreatedTimestamp = nil // a snapshot does not know it
	out.Histogram.Bucket = b.classic
	return nil
}

// newHistogram returns the Manager's histogram as a metric.
func newHistogram(desc *prometheus.Desc, h perdure.Histogram, labels ...string) (prometheus.Metric, error) {
	native, zero := nativeBuckets(h)
	m, err := prometheus.NewConstNativeHistogram(desc, h.Count, h.Sum.Seconds(), native, nil, zero,
		nativeSchema, zeroBelow.Seconds(), time.Time{}, labels...)
	if err != nil {
		return nil, err
	}
	return &both{Metric: m, classic: classicBuckets(h)}, nil
}

// classicBuckets returns the cumulative counts, which are exact.
func classicBuckets(h perdure.Histogram) []*dto.Bucket {
	bounds := classicBounds()
	out := make([]*dto.Bucket, len(bounds))
	var below uint64
	next := 0
	for i, bound := range bounds {
		for ; next < len(h.Buckets) && h.Buckets[next].UpperBound >= 0 && h.Buckets[next].UpperBound <= bound; next++ {
			below += h.Buckets[next].Count
		}
		le, n := bound.Seconds(), below
		out[i] = &dto.Bucket{UpperBound: &le, CumulativeCount: &n}
	}
	return out
}

// nativeBuckets returns the counts by index of the native bucket, and that of
// the zero bucket.
func nativeBuckets(h perdure.Histogram) (positive map[int]int64, zero uint64) {
	positive = make(map[int]int64, len(h.Buckets))
	for _, b := range h.Buckets {
		if b.UpperBound == zeroBelow {
			zero += b.Count
			continue
		}
		positive[nativeIndex(b.UpperBound)] += int64(b.Count) //nolint:gosec // nobody counts to 2⁶³
	}
	return positive, zero
}

// nativeIndex returns the index i of the native bucket (2^((i−1)/8) s, 2^(i/8) s]
// that holds the geometric middle of the Manager's bucket with that upper bound.
func nativeIndex(upper time.Duration) int {
	lower := openFrom
	if upper < 0 {
		upper = openFrom + openFrom/4 // as wide as if there were more
	} else { // four buckets to a power of two
		lower = upper - 1<<(bits.Len64(uint64(upper-1))-3) //nolint:gosec // upper is positive
	}
	middle := math.Sqrt(lower.Seconds() * upper.Seconds())
	return int(math.Ceil(math.Log2(middle) * nativePerDoubled))
}

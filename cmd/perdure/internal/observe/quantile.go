package observe

import (
	"time"

	"github.com/perdure/perdure"
)

// unbounded stands for the durations of the last bucket, 37 minutes and more.
const unbounded = 1 << 41

// difference returns what was added to a histogram since before. Both hold
// their buckets rising by the same bounds, empty ones left out.
func difference(now, before perdure.Histogram) perdure.Histogram {
	return zip(now, before, func(a, b uint64) uint64 {
		if a < b {
			return 0
		}
		return a - b
	})
}

// sum returns both together.
func sum(a, b perdure.Histogram) perdure.Histogram {
	return zip(a, b, func(a, b uint64) uint64 { return a + b })
}

func zip(a, b perdure.Histogram, f func(a, b uint64) uint64) perdure.Histogram {
	out := perdure.Histogram{Buckets: make([]perdure.Bucket, 0, max(len(a.Buckets), len(b.Buckets)))}
	for i, j := 0, 0; i < len(a.Buckets) || j < len(b.Buckets); {
		var bucket perdure.Bucket
		switch {
		case j == len(b.Buckets) || i < len(a.Buckets) && bound(a.Buckets[i]) < bound(b.Buckets[j]):
			bucket = perdure.Bucket{UpperBound: a.Buckets[i].UpperBound, Count: f(a.Buckets[i].Count, 0)}
			i++
		case i == len(a.Buckets) || bound(b.Buckets[j]) < bound(a.Buckets[i]):
			bucket = perdure.Bucket{UpperBound: b.Buckets[j].UpperBound, Count: f(0, b.Buckets[j].Count)}
			j++
		default:
			bucket = perdure.Bucket{UpperBound: a.Buckets[i].UpperBound, Count: f(a.Buckets[i].Count, b.Buckets[j].Count)}
			i++
			j++
		}
		if bucket.Count > 0 {
			out.Count += bucket.Count
			out.Buckets = append(out.Buckets, bucket)
		}
	}
	return out
}

func bound(b perdure.Bucket) time.Duration {
	if b.UpperBound < 0 {
		return unbounded
	}
	return b.UpperBound
}

// Quantile returns an upper bound of the q-th quantile of h, exact to a bucket
// (25 %); zero if h is empty.
func Quantile(h perdure.Histogram, q float64) time.Duration {
	if h.Count == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.Count)), h.Count-1)
	var below uint64
	for _, b := range h.Buckets {
		if below += b.Count; below > rank {
			return bound(b)
		}
	}
	return unbounded
}

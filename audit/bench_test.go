package audit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/audit"
)

// BenchmarkAppend measures durable records with appenders that wait for each.
func BenchmarkAppend(b *testing.B) {
	for _, appenders := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("appenders=%d", appenders), func(b *testing.B) {
			trail, err := audit.Open(audit.Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer trail.Close()
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range appenders {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if _, err := trail.Append(b.Context(), outcome("features.load")); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			s := trail.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(s.Records)/float64(s.Syncs), "records/fsync")
		})
	}
}

// BenchmarkVerify measures the reading of a trail.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	trail, err := audit.Open(audit.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]audit.Record, 1000)
	for i := range batch {
		batch[i] = outcome("features.load")
	}
	for range 20 {
		if _, err := trail.Append(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	if err := trail.Close(); err != nil {
		b.Fatal(err)
	}
	var records uint64
	for b.Loop() {
		r, err := audit.Verify(b.Context(), audit.VerifyConfig{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		records += r.Records
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

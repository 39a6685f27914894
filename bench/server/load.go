package server

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/bench/measure"
)

// Result is what one way came to with a number of callers.
type Result struct {
	Name    string
	Callers int
	// PerSecond is the median over the rounds; Share the median of this way's throughput divided by the bare
	// way's in the same round.
	PerSecond, Share float64
	// P50 and P99 are quantiles of the time that a call took, over all rounds.
	P50, P99 time.Duration
	// Failed is how many calls failed, and Failure one of their errors. A
	// machine that is too busy for a while may look to a breaker as a server that is down.
	Failed  int
	Failure error
}

// turned is one turn of a way.
type turned struct {
	took    []float64 // of the calls that succeeded, in nanoseconds
	elapsed time.Duration
	failed  int
	failure error
}

// Compare lets callers do the ways of k in turn for turn each, rounds times after one that does not count. The order of
// the ways is turned from round to round, so that none is always the first after another. It fails if nothing succeeds.
func Compare(ctx context.Context, k Kind, callers, rounds int, turn time.Duration) ([]Result, error) {
	perSecond := make([][]float64, len(k.Ways))
	latencies := make([][]float64, len(k.Ways))
	out := make([]Result, len(k.Ways))
	for round := range rounds + 1 {
		for at := range k.Ways {
			i := (at + round) % len(k.Ways)
			t := one(ctx, k.Ways[i], callers, turn)
			if len(t.took) == 0 {
				return nil, fmt.Errorf("%s, %s: %w", k.Name, k.Ways[i].Name, t.failure)
			}
			if round == 0 { // connections are opened and statements prepared
				continue
			}
			perSecond[i] = append(perSecond[i], float64(len(t.took))/t.elapsed.Seconds())
			latencies[i] = append(latencies[i], t.took...)
			out[i].Failed += t.failed
			out[i].Failure = cmp.Or(out[i].Failure, t.failure)
		}
	}
	for i, w := range k.Ways {
		shares := make([]float64, rounds)
		for r := range shares {
			shares[r] = perSecond[i][r] / perSecond[0][r]
		}
		o := &out[i]
		o.Name, o.Callers, o.PerSecond, o.Share = w.Name, callers, measure.Median(perSecond[i]), measure.Median(shares)
		o.P50, o.P99 = time.Duration(measure.Quantile(latencies[i], .5)), time.Duration(measure.Quantile(latencies[i], .99))
	}
	return out, nil
}

// afterFailure is how long a caller waits after a call that failed: a refusal costs nothing, and would be repeated a
// million times a second.
const afterFailure = 10 * time.Millisecond

// one lets callers work for turn.
func one(ctx context.Context, w Way, callers int, turn time.Duration) turned {
	each := make([]turned, callers)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; ; i += callers {
				began := time.Now()
				if i > c && began.Sub(start) >= turn {
					return
				}
				if err := w.Do(ctx, i); err != nil {
					each[c].failed++
					each[c].failure = err
					<-time.After(afterFailure)
					continue
				}
				each[c].took = append(each[c].took, float64(time.Since(began)))
			}
		})
	}
	wg.Wait()
	all := turned{elapsed: time.Since(start)}
	for _, e := range each {
		all.took = append(all.took, e.took...)
		all.failed += e.failed
		all.failure = cmp.Or(all.failure, e.failure)
	}
	return all
}

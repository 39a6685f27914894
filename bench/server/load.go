package server

import (
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
}

// Compare lets callers do the ways of k in turn for turn each, rounds times after one that does not count. The order of
// the ways is turned from round to round, so that none is always the first after another.
func Compare(ctx context.Context, k Kind, callers, rounds int, turn time.Duration) ([]Result, error) {
	perSecond := make([][]float64, len(k.Ways))
	latencies := make([][]float64, len(k.Ways))
	for round := range rounds + 1 {
		for at := range k.Ways {
			i := (at + round) % len(k.Ways)
			took, elapsed, err := one(ctx, k.Ways[i], callers, turn)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", k.Name, k.Ways[i].Name, err)
			}
			if round == 0 { // connections are opened and statements prepared
				continue
			}
			perSecond[i] = append(perSecond[i], float64(len(took))/elapsed.Seconds())
			latencies[i] = append(latencies[i], took...)
		}
	}
	out := make([]Result, len(k.Ways))
	for i, w := range k.Ways {
		shares := make([]float64, rounds)
		for r := range shares {
			shares[r] = perSecond[i][r] / perSecond[0][r]
		}
		out[i] = Result{
			Name: w.Name, Callers: callers, PerSecond: measure.Median(perSecond[i]), Share: measure.Median(shares),
			P50: time.Duration(measure.Quantile(latencies[i], .5)), P99: time.Duration(measure.Quantile(latencies[i], .99)),
		}
	}
	return out, nil
}

// one lets callers work for turn, and returns how long each call took, in nanoseconds.
func one(ctx context.Context, w Way, callers int, turn time.Duration) (took []float64, elapsed time.Duration, err error) {
	each := make([][]float64, callers)
	errs := make([]error, callers)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; ; i += callers {
				began := time.Now()
				if began.Sub(start) >= turn {
					return
				}
				if errs[c] = w.Do(ctx, i); errs[c] != nil {
					return
				}
				each[c] = append(each[c], float64(time.Since(began)))
			}
		})
	}
	wg.Wait()
	elapsed = time.Since(start)
	for c := range callers {
		if errs[c] != nil {
			return nil, 0, errs[c]
		}
		took = append(took, each[c]...)
	}
	return took, elapsed, nil
}

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
	// Client and Server are the medians over the rounds of the time that a call took of the cores, in the process that
	// calls and in the server's; Cost is the median of the sum of both divided by the bare way's in the same round. What
	// else runs on the machine lengthens the clock's times and hardly these. Zero where the system does not tell.
	Client, Server time.Duration
	Cost           float64
	// Failed is how many calls failed, and Failure one of their errors. A
	// machine that is too busy for a while may look to a breaker as a server that is down.
	Failed  int
	Failure error
}

// turned is one turn of a way.
type turned struct {
	took           []float64 // of the calls that succeeded, in nanoseconds
	elapsed        time.Duration
	client, server float64 // nanoseconds of the cores, for each of these calls
	failed         int
	failure        error
}

// Plan says how to compare. Callers, Rounds and Turn must be set.
type Plan struct {
	// Callers is how many call at the same time.
	Callers int
	// Rounds is how often each way has its turn, after one that does not count.
	Rounds int
	// Turn is how long a turn takes.
	Turn time.Duration
	// Server returns the time that the server has had of the cores. Nil means that it is not known.
	Server func() time.Duration
}

// Compare lets callers do the ways of k in turn. The order of the ways is turned from round to round, so that none is
// always the first after another. It fails if nothing succeeds.
func Compare(ctx context.Context, k Kind, p Plan) ([]Result, error) {
	if p.Server == nil {
		p.Server = func() time.Duration { return 0 }
	}
	turns := make([][]turned, len(k.Ways))
	for round := range p.Rounds + 1 {
		for at := range k.Ways {
			i := (at + round) % len(k.Ways)
			t := p.one(ctx, k.Ways[i])
			if len(t.took) == 0 {
				return nil, fmt.Errorf("%s, %s: %w", k.Name, k.Ways[i].Name, t.failure)
			}
			if round > 0 { // in the first one connections are opened and statements prepared
				turns[i] = append(turns[i], t)
			}
		}
	}
	out := make([]Result, len(k.Ways))
	for i, w := range k.Ways {
		out[i] = sum(turns[i], turns[0])
		out[i].Name, out[i].Callers = w.Name, p.Callers
	}
	return out, nil
}

// sum makes the result of a way of its turns and those of the bare way.
func sum(turns, bare []turned) (r Result) {
	var latencies []float64
	for _, t := range turns {
		latencies = append(latencies, t.took...)
		r.Failed += t.failed
		r.Failure = cmp.Or(r.Failure, t.failure)
	}
	over := func(value func(round int) float64) float64 {
		values := make([]float64, len(turns))
		for i := range values {
			values[i] = value(i)
		}
		return measure.Median(values)
	}
	r.PerSecond = over(func(i int) float64 { return turns[i].perSecond() })
	r.Share = over(func(i int) float64 { return turns[i].perSecond() / bare[i].perSecond() })
	r.Client = time.Duration(over(func(i int) float64 { return turns[i].client }))
	r.Server = time.Duration(over(func(i int) float64 { return turns[i].server }))
	r.Cost = over(func(i int) float64 {
		if bare[i].client+bare[i].server == 0 {
			return 0
		}
		return (turns[i].client + turns[i].server) / (bare[i].client + bare[i].server)
	})
	r.P50, r.P99 = time.Duration(measure.Quantile(latencies, .5)), time.Duration(measure.Quantile(latencies, .99))
	return r
}

func (t turned) perSecond() float64 { return float64(len(t.took)) / t.elapsed.Seconds() }

// afterFailure is how long a caller waits after a call that failed: a refusal costs nothing, and would be repeated a
// million times a second.
const afterFailure = 10 * time.Millisecond

// one lets callers work for one turn.
func (p Plan) one(ctx context.Context, w Way) turned {
	each := make([]turned, p.Callers)
	server, client, start := p.Server(), measure.CPU(), time.Now()
	var wg sync.WaitGroup
	for c := range p.Callers {
		wg.Go(func() {
			for i := c; ; i += p.Callers {
				began := time.Now()
				if i > c && began.Sub(start) >= p.Turn {
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
	client, server = measure.CPU()-client, p.Server()-server
	for _, e := range each {
		all.took = append(all.took, e.took...)
		all.failed += e.failed
		all.failure = cmp.Or(all.failure, e.failure)
	}
	calls := float64(max(len(all.took), 1))
	all.client, all.server = float64(client)/calls, float64(max(server, 0))/calls
	return all
}

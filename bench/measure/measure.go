// Package measure compares costs on a machine that other work shares: every
// round runs all contenders one after the other, so that what disturbs the
// machine disturbs all alike, and medians over the rounds are compared.
package measure

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// Contender is one of those that are compared.
type Contender struct {
	// Name is that of its row.
	Name string
	// Run does what is measured n times, in one goroutine; it may be called by several at once.
	Run func(n int) error
}

// Plan says how long to measure. All fields must be set.
type Plan struct {
	// Rounds is how often each contender has its turn.
	Rounds int
	// Turn is about how long a turn takes.
	Turn time.Duration
	// Workers is how many goroutines share the work of a turn.
	Workers int
}

// Cost is what a contender costs.
type Cost struct {
	Name string
	// Nanos is the median of nanoseconds of the clock for each call, and CPU of those that the process ran, on all
	// cores: what else runs on the machine lengthens the first and not the second.
	Nanos, CPU float64
	// Spread is half the distance between the quartiles of what Ratio compares, relative to its median.
	Spread float64
	// Ratio is the median over the rounds of this contender's cost divided by the reference's in the same round: of
	// CPU with one worker, of Nanos with more, since waiting for each other is a cost as well.
	Ratio float64
	// Bytes and Allocs are those of one call, of a turn by one goroutine.
	Bytes, Allocs float64
}

// Costs measures the contenders; the one at index reference is what Ratio compares with.
func Costs(p Plan, contenders []Contender, reference int) ([]Cost, error) {
	counts := make([]int, len(contenders))
	for i, c := range contenders {
		n, err := calibrate(p, c)
		if err != nil {
			return nil, err
		}
		counts[i] = n
	}
	nanos, cpus := make([][]float64, len(contenders)), make([][]float64, len(contenders))
	for range p.Rounds {
		for i, c := range contenders {
			took, used, err := turn(p.Workers, counts[i], c.Run)
			if err != nil {
				return nil, err
			}
			nanos[i] = append(nanos[i], float64(took)/float64(counts[i]))
			cpus[i] = append(cpus[i], float64(used)/float64(counts[i]))
		}
	}
	compared := cpus
	if p.Workers > 1 || Median(cpus[reference]) == 0 {
		compared = nanos
	}
	out := make([]Cost, len(contenders))
	for i, c := range contenders {
		ratios := make([]float64, p.Rounds)
		for r := range ratios {
			ratios[r] = compared[i][r] / compared[reference][r]
		}
		bytes, allocs, err := allocated(c.Run)
		if err != nil {
			return nil, err
		}
		out[i] = Cost{
			Name: c.Name, Nanos: Median(nanos[i]), CPU: Median(cpus[i]),
			Spread: (Quantile(compared[i], .75) - Quantile(compared[i], .25)) / 2 / Median(compared[i]),
			Ratio:  Median(ratios), Bytes: bytes, Allocs: allocs,
		}
	}
	return out, nil
}

// calibrate finds how many calls fill a turn.
func calibrate(p Plan, c Contender) (int, error) {
	const most = 1 << 30
	for n := 64; ; n *= 2 {
		took, _, err := turn(p.Workers, n, c.Run)
		if err != nil {
			return 0, err
		}
		if took >= p.Turn/4 || n >= most {
			return max(p.Workers, int(float64(n)*float64(p.Turn)/float64(max(took, 1)))), nil
		}
	}
}

// turn runs n calls on workers goroutines, evenly, and returns how long it took, by the clock and by the cores.
func turn(workers, n int, run func(n int) error) (took, used time.Duration, err error) {
	runtime.GC() // nobody pays for another's garbage
	if workers == 1 {
		start, before := time.Now(), CPU()
		err := run(n)
		return time.Since(start), CPU() - before, err
	}
	errs := make([]error, workers)
	var ready, done sync.WaitGroup
	ready.Add(workers)
	begin := make(chan struct{})
	for w := range workers {
		done.Go(func() {
			ready.Done()
			<-begin
			errs[w] = run(n / workers)
		})
	}
	ready.Wait()
	start, before := time.Now(), CPU()
	close(begin)
	done.Wait()
	took, used = time.Since(start), CPU()-before
	for _, err := range errs {
		if err != nil {
			return 0, 0, err
		}
	}
	return took, used, nil
}

// allocated counts what one call allocates, as testing.AllocsPerRun does: on one core.
func allocated(run func(n int) error) (bytes, allocs float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const calls = 2000
	if err := run(10); err != nil {
		return 0, 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = run(calls)
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / calls, float64(after.Mallocs-before.Mallocs) / calls, err
}

// Median returns the middle of values, or the mean of the two in the middle.
func Median(values []float64) float64 { return Quantile(values, .5) }

// Quantile returns the q-th quantile of values, with linear interpolation; 0 if there are none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

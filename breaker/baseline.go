package breaker

import "math"

// baseline estimates the healthy failure rate from above: Wilson's upper
// confidence bound (Wilson, Journal of the American Statistical Association 22,
// 1927) of weighted counts of healthy calls.
type baseline struct {
	failed, calls float64
	at            int64 // of the last learning
}

const (
	priorFailed  = 5.0
	priorCalls   = 500.0
	memoryCalls  = 5000.0     // calls that the counts remember at most
	memoryTime   = 6 * 3600e9 // nanoseconds in which the counts fade to the prior, e-fold
	confidence   = 1.0        // z of the bound: the test's own margin does the rest
	lowestRate   = 0.002      // a rate below is taken for this
	highestRate  = 0.10       // no rate above is healthy
	doubleRateIn = 1e9        // nanoseconds in which the rate may double
)

// learn takes in healthy calls and returns the new healthy rate, given the one so far.
func (b *baseline) learn(now int64, calls, failed, healthy float64) float64 {
	dt := float64(max(0, now-b.at))
	b.at = max(b.at, now)
	keep := fading(dt / memoryTime)
	b.calls = b.calls*keep + priorCalls*(1-keep) + calls
	b.failed = b.failed*keep + priorFailed*(1-keep) + failed
	if b.calls > memoryCalls {
		b.failed *= memoryCalls / b.calls
		b.calls = memoryCalls
	}
	return min(b.bound(), healthy*math.Exp2(dt/doubleRateIn), highestRate)
}

// bound is Wilson's upper bound, not below lowestRate.
func (b *baseline) bound() float64 {
	const z2 = confidence * confidence
	p, n := b.failed/b.calls, b.calls
	mid := p + z2/(2*n)
	half := confidence * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return max((mid+half)/(1+z2/n), lowestRate)
}

package backoff

import (
	"math"
	"math/bits"
	"time"
)

// Delay returns how long to wait after the attempt of that number, counted
// from 0, has failed: the [Config.Ceiling] with jitter. random is 64 uniformly random
// bits, such as rand.Uint64() of math/rand/v2; equal arguments give equal
// delays. The result is in [0, Max] for every attempt up to math.MaxInt; a
// negative attempt counts as 0. Delay does not allocate.
func (c Config) Delay(attempt int, random uint64) time.Duration {
	ceiling := c.Ceiling(attempt)
	switch c.Jitter {
	case NoJitter:
		return ceiling
	case EqualJitter:
		half := ceiling / 2
		return ceiling - half + uniform(half, random)
	default:
		return uniform(ceiling, random)
	}
}

// Ceiling returns the delay without jitter: min(Max, what the strategy says
// for the attempt). It never decreases with the attempt, except as Func does, and does not overflow.
func (c Config) Ceiling(attempt int) time.Duration {
	n := max(attempt, 0)
	limit := max(or(c.Max, DefaultMax), 0)
	initial := min(max(or(c.Initial, DefaultInitial), 0), limit)
	switch c.Strategy {
	case Custom:
		return custom(c.Func, limit, n)
	case Constant:
		return initial
	case Linear:
		return linear(initial, limit, n)
	case Fibonacci:
		return fibonacci(initial, limit, n)
	default:
		if c.Strategy == "" && c.Func != nil {
			return custom(c.Func, limit, n)
		}
		return exponential(initial, limit, or(c.Multiplier, DefaultMultiplier), n)
	}
}

// uniform maps 64 random bits onto the whole nanoseconds in [0, ceiling] by
// the high half of a product, which needs neither division nor floating point
// (Lemire, "Fast Random Integer Generation in an Interval", 2019; without his
// rejection step the bias is below 2⁻²² for a ceiling of an hour).
func uniform(ceiling time.Duration, random uint64) time.Duration {
	hi, _ := bits.Mul64(random, uint64(ceiling)+1) //nolint:gosec // a ceiling is never negative
	return time.Duration(hi)                       //nolint:gosec // at most ceiling
}

// custom holds what a func of the caller's says between 0 and limit.
func custom(fn func(int) time.Duration, limit time.Duration, n int) time.Duration {
	if fn == nil {
		return limit
	}
	return min(max(fn(n), 0), limit)
}

// exponential doubles by shifting, which is what nearly everybody wants and a
// tenth of the cost of a power. Other powers are compared as floating point
// before they are converted: one that overflows is +Inf, above every limit.
func exponential(initial, limit time.Duration, multiplier float64, n int) time.Duration {
	switch {
	case initial == 0:
		return 0 // 0 · Inf is not a number
	case multiplier == 2:
		if n > 62 || initial > limit>>n {
			return limit
		}
		return initial << n
	}
	d := float64(initial) * math.Pow(multiplier, float64(n))
	if d >= float64(limit) || math.IsNaN(d) {
		return limit
	}
	return time.Duration(d)
}

func linear(initial, limit time.Duration, n int) time.Duration {
	if initial == 0 {
		return 0
	}
	if int64(n) >= int64(limit/initial) {
		return limit
	}
	return initial * time.Duration(n+1)
}

// fibonacci ends after at most 92 steps: by then the sum has passed any limit.
func fibonacci(initial, limit time.Duration, n int) time.Duration {
	if initial == 0 {
		return 0
	}
	a, b := time.Duration(0), initial
	for range n {
		if b >= limit-a {
			return limit
		}
		a, b = b, a+b
	}
	return min(b, limit)
}

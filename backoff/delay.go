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
	c = c.withDefaults()
	n := max(attempt, 0)
	limit := max(c.Max, 0)
	initial := min(max(c.Initial, 0), limit)
	switch c.Strategy {
	case Custom:
		if c.Func == nil {
			return limit
		}
		return min(max(c.Func(n), 0), limit)
	case Constant:
		return initial
	case Linear:
		return linear(initial, limit, n)
	case Fibonacci:
		return fibonacci(initial, limit, n)
	default:
		return exponential(initial, limit, c.Multiplier, n)
	}
}

// uniform maps 64 random bits onto the whole nanoseconds in [0, ceiling] by
// the high half of a product, which needs neither division nor floating point
// (Lemire, "Fast Random Integer Generation in an Interval", 2019; without his
// rejection step the bias is below 2⁻²² for a ceiling of an hour).
func uniform(ceiling time.Duration, random uint64) time.Duration {
	hi, _ := bits.Mul64(random, uint64(ceiling)+1)
	return time.Duration(hi)
}

// exponential compares as floating point before it converts: a power that
// overflows is +Inf, which is above every limit.
func exponential(initial, limit time.Duration, multiplier float64, n int) time.Duration {
	d := float64(initial) * math.Pow(multiplier, float64(n))
	if initial == 0 {
		return 0 // 0 · Inf is not a number
	}
	if d >= float64(limit) || math.IsNaN(d) {
		return limit
	}
	return time.Duration(d)
}

func linear(initial, limit time.Duration, n int) time.Duration {
	hi, lo := bits.Mul64(uint64(initial), uint64(n)+1)
	if hi != 0 || lo >= uint64(limit) {
		return limit
	}
	return time.Duration(lo)
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

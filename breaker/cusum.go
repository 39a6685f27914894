package breaker

import "math"

// cusum is the adaptive rule: a Bernoulli CUSUM whose healthy rate is learned.
type cusum struct {
	score, limit, climb float64 // in units of one success
	healthy             float64 // p0, the bound in use
	designed            float64 // the p0 for which climb and limit were found
	falseTripEvery      float64
	last                int64   // when the score was last brought up to date
	calls, failed       float64 // of the excursion that is not over: not yet learned
	base                baseline
}

// scoreMemory is the time in which the score fades, e-fold, in nanoseconds: five
// failures in five hours are not one outage.
const scoreMemory = 600e9

// redesign is the relative change of the healthy rate that is worth a new design.
const redesign = 0.05

func (c *cusum) start(falseTripEvery float64) {
	c.falseTripEvery = falseTripEvery
	c.base = baseline{failed: priorFailed, calls: priorCalls}
	c.adopt(c.base.bound())
}

func (c *cusum) reset(now int64, headStart bool) {
	c.score, c.calls, c.failed, c.last = 0, 0, 0, now
	if headStart { // Lucas and Crosier, Technometrics 24, 1982
		c.score = c.limit / 2
	}
}

// failure takes in n successes and then one failure, and says whether the score has reached the limit.
func (c *cusum) failure(now int64, n uint64) bool {
	if dt := now - c.last; dt > 0 {
		c.score *= math.Exp(-float64(dt) / scoreMemory)
		c.last = now
	}
	c.calls += float64(n)
	if c.score -= float64(n); c.score <= 0 {
		c.score = 0
		c.adopt(c.base.learn(now, c.calls, c.failed, c.healthy))
		c.calls, c.failed = 0, 0
	}
	c.calls++
	c.failed++
	c.score = min(c.score+c.climb, c.limit)
	return c.score >= c.limit
}

// adopt takes p0 for the healthy rate.
func (c *cusum) adopt(p0 float64) {
	c.healthy = p0
	if math.Abs(p0-c.designed) <= redesign*c.designed {
		return
	}
	c.designed = p0
	climb, limit := design(p0, bad(p0), c.falseTripEvery)
	was := c.limit
	c.climb, c.limit = float64(climb), float64(limit)
	if was > 0 {
		c.score *= c.limit / was
	}
}

// bad is the failure rate that is told from a healthy p0.
func bad(p0 float64) float64 { return min(0.9, max(p0+0.15, 4*p0)) }

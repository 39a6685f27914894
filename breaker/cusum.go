package breaker

import "math"

// cusum is the adaptive rule: a Bernoulli CUSUM whose healthy rate is learned.
type cusum struct {
	score, limit, climb float64 // in units of one success
	healthy             float64 // p0, the bound in use
	falseTripEvery      float64
	last                int64   // when the score was last brought up to date
	calls, failed       float64 // of the excursion that is not over: not yet learned
	designed            float32 // the p0 for which climb and limit were found
	crossed             bool    // the excursion has reached the limit: never to be learned
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
	c.score, c.calls, c.failed, c.crossed, c.last = 0, 0, 0, false, now
	if headStart { // Lucas and Crosier, Technometrics 24, 1982
		c.score = c.limit / 2
	}
}

// failure takes in n successes and then one failure, and says whether the score has reached the limit.
func (c *cusum) failure(now int64, n uint64) bool {
	if dt := now - c.last; dt > 0 {
		c.score *= fading(float64(dt) / scoreMemory)
		c.last = now
	}
	c.calls += float64(n)
	if c.score -= float64(n); c.score <= 0 {
		c.calm(now)
	}
	c.calls++
	c.failed++
	c.score = min(c.score+c.climb, c.limit)
	c.crossed = c.crossed || c.score >= c.limit
	return c.score >= c.limit
}

// calm ends an excursion. One that reached the limit and is over all the same
// (the breaker is held closed, or its owner has not answered) teaches nothing.
func (c *cusum) calm(now int64) {
	if !c.crossed {
		c.adopt(c.base.learn(now, c.calls, c.failed, c.healthy))
	}
	c.score, c.calls, c.failed, c.crossed = 0, 0, 0, false
}

// fading returns e⁻ˣ. For the small x of busy breakers the first terms of its
// series are exact to nine digits, and save most of the time.
func fading(x float64) float64 {
	if x < 1e-3 {
		return 1 - x + x*x/2
	}
	return math.Exp(-x)
}

// adopt takes p0 for the healthy rate.
func (c *cusum) adopt(p0 float64) {
	c.healthy = p0
	if math.Abs(p0-float64(c.designed)) <= redesign*float64(c.designed) {
		return
	}
	c.designed = float32(p0)
	climb, limit := design(p0, bad(p0), c.falseTripEvery)
	was := c.limit
	c.climb, c.limit = float64(climb), float64(limit)
	if was > 0 {
		c.score *= c.limit / was
	}
}

// bad is the failure rate that is told from a healthy p0.
func bad(p0 float64) float64 { return min(0.9, max(p0+0.15, 4*p0)) }

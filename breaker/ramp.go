package breaker

// rampSteps is how often the ramp doubles. From the default of four calls in flight, the last step allows 512.
const rampSteps = 8

// ramp limits the calls in flight while a closed breaker grows back to full
// admission. The limit depends on time only: calls that hang, or are never
// reported, use up places but cannot keep it from ending.
type ramp struct {
	began    int64
	step     int64 // nanoseconds
	first    int   // places of the first step
	inFlight int
}

func (r *ramp) over(now int64) bool { return now-r.began >= r.step*rampSteps }

func (r *ramp) limit(now int64) int {
	return r.first << min((now-r.began)/r.step, rampSteps)
}

func (r *ramp) take(now int64) bool {
	if r.inFlight >= r.limit(now) {
		return false
	}
	r.inFlight++
	return true
}

func (r *ramp) giveBack() { r.inFlight = max(0, r.inFlight-1) }

// next returns when there is a place by time alone; now if there is one.
func (r *ramp) next(now int64) int64 {
	t := now
	for r.inFlight >= r.limit(t) && !r.over(t) {
		t = r.began + ((t-r.began)/r.step+1)*r.step
	}
	return t
}

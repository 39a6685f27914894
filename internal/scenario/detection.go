package scenario

import (
	"math"
	"math/rand/v2"
)

// CallsPerSecond is the rate of a Stream on its simulated time, unless its Rate is changed: with it
// windows of ten and thirty seconds hold 1,000 and 3,000 calls.
const CallsPerSecond = 100

// WarmUp is how many healthy calls go before the onset of failures, and GiveUp how many calls a rule has to notice it.
const (
	WarmUp = 10_000
	GiveUp = 20_000
)

// Rule is something that is told the outcome of every call and says when to trip.
// It is used by one goroutine.
type Rule interface {
	// Call tells of one call; now is the simulated time in nanoseconds, which never falls.
	Call(now int64, failed bool) (trip bool)
	// Forget drops the evidence after a trip; what was learned of healthy times stays.
	Forget(now int64)
}

// Stream is a reproducible sequence of calls that fail by chance. It is used by one goroutine.
type Stream struct {
	// N is how many calls there were.
	N int64
	// Rate is how many calls a second of simulated time has.
	Rate float64

	rng *rand.Rand
}

// NewStream returns a Stream at its start; the same seed makes the same one.
func NewStream(seed uint64) *Stream {
	return &Stream{Rate: CallsPerSecond, rng: rand.New(rand.NewPCG(seed, 0x70657264757265))} //nolint:gosec // it must be reproducible
}

// Now is the simulated time in nanoseconds.
func (s *Stream) Now() int64 { return int64(float64(s.N) / s.Rate * 1e9) }

// Draw begins the next call, and says whether it fails, which it does with probability p.
func (s *Stream) Draw(p float64) (failed bool) {
	s.N++
	return s.rng.Float64() < p
}

// Next feeds one call that fails with probability p.
func (s *Stream) Next(r Rule, p float64) (trip bool) {
	failed := s.Draw(p)
	return r.Call(s.Now(), failed)
}

// FalseTrips feeds calls calls, of which the i-th fails with probability p(i), and counts the trips.
func (s *Stream) FalseTrips(r Rule, calls int, p func(i int) float64) (trips int) {
	for i := range calls {
		if s.Next(r, p(i)) {
			trips++
			r.Forget(s.Now())
		}
	}
	return trips
}

// UntilTrip returns how many calls pass until r trips, and false if it has not after most calls.
func (s *Stream) UntilTrip(r Rule, most int, p func(i int) float64) (calls int, tripped bool) {
	for i := range most {
		if s.Next(r, p(i)) {
			return i + 1, true
		}
	}
	return most, false
}

// Always is a failure rate that does not change.
func Always(p float64) func(int) float64 { return func(int) float64 { return p } }

// Swing is a failure rate that moves between 1 and 5 % and back in 10⁵ calls.
func Swing(i int) float64 { return 0.03 - 0.02*math.Cos(2*math.Pi*float64(i)/1e5) }

// MeanDelay returns the mean number of calls from the onset of failures to the trip, after WarmUp calls of which 1 %
// failed, over runs streams; every is false if some run did not trip within GiveUp calls.
func MeanDelay(fresh func() Rule, p float64, runs int) (mean float64, every bool) {
	sum, every := 0, true
	for run := range runs {
		s, r := NewStream(uint64(run)), fresh()
		s.FalseTrips(r, WarmUp+run%100, Always(0.01))
		n, tripped := s.UntilTrip(r, GiveUp, Always(p))
		sum += n
		every = every && tripped
	}
	return float64(sum) / float64(runs), every
}

// FalseTripsIn returns the mean number of false trips in calls calls after a warm-up, over seeds streams.
func FalseTripsIn(calls int, fresh func() Rule, seeds int, p func(i int) float64) float64 {
	trips := 0
	for seed := range seeds {
		s, r := NewStream(1000+uint64(seed)), fresh()
		s.FalseTrips(r, 2*WarmUp, func(int) float64 { return p(0) })
		trips += s.FalseTrips(r, calls, p)
	}
	return float64(trips) / float64(seeds)
}

// LastHundred is the rule of resilience4j's defaults (its documentation, CircuitBreakerConfig): trip when half of the
// last 100 calls failed. perdure has no such window, nor has any breaker in Go that is compared.
type LastHundred struct {
	ring      [100]bool
	n, failed int
}

// Call is as Rule says.
func (l *LastHundred) Call(_ int64, failed bool) bool {
	at := &l.ring[l.n%len(l.ring)]
	if *at {
		l.failed--
	}
	*at = failed
	if failed {
		l.failed++
	}
	l.n++
	return l.n >= len(l.ring) && l.failed >= len(l.ring)/2
}

// Forget is as Rule says.
func (l *LastHundred) Forget(int64) { *l = LastHundred{} }

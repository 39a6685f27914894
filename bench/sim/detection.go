package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/perdure/perdure/bench/guard"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/internal/scenario"
)

// Detector is one rule by which a breaker trips.
type Detector struct {
	// Name is that of the row.
	Name string
	// New makes a breaker; it is called on fake time.
	New func() (scenario.Rule, error)
}

// Detectors returns perdure's breaker and those of the peers, each by its whole public interface, and the rules of two
// well-known libraries of other languages, which are not run but imitated.
func Detectors() []Detector {
	return []Detector{
		{"perdure", func() (scenario.Rule, error) { return newOwn(breaker.Config{}) }},
		{"gobreaker, default (6 in a row)", func() (scenario.Rule, error) {
			return newGobreaker(func() gobreaker.Settings { return guard.GobreakerSettings(guard.Settings{}) }), nil
		}},
		{"gobreaker, 60 % of 3 in 10 s", func() (scenario.Rule, error) { return newGobreaker(ratioSettings), nil }},
		{"failsafe-go, 5 in a row", func() (scenario.Rule, error) {
			return newFailsafe(func() circuitbreaker.CircuitBreaker[any] { return guard.FailsafeBreaker(guard.Settings{}) }), nil
		}},
		{"failsafe-go, 20 % of 100 in 10 s", func() (scenario.Rule, error) { return newFailsafe(rateBreaker), nil }},
		{"resilience4j's default (50 % of 100)", func() (scenario.Rule, error) { return &scenario.LastHundred{}, nil }},
		{"Hystrix' rule (50 % of 20 in 10 s)", func() (scenario.Rule, error) { return newOwn(breaker.Config{Rule: breaker.Rate}) }},
	}
}

// window is that of the rules by failure rate: short, as it decides how soon they notice.
const window = 10 * time.Second

// ratioSettings are those of the example that comes with gobreaker (example/http_breaker.go), with an interval, without which counts
// are never cleared and the rule goes blind.
func ratioSettings() gobreaker.Settings {
	return gobreaker.Settings{
		Interval: window, BucketPeriod: window / 10,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= 3 && float64(c.TotalFailures)/float64(c.Requests) >= .6
		},
	}
}

// rateBreaker is a breaker by failure rate over a rolling period (comment on WithFailureRateThreshold). The figures are
// ours: a fifth of at least a hundred calls, within ten seconds.
func rateBreaker() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(.2, 100, window).Build()
}

// clock brings the fake time to that of the stream.
type clock struct{ began time.Time }

func (c clock) at(now int64) {
	if d := time.Until(c.began.Add(time.Duration(now))); d > 0 {
		<-time.After(d)
	}
}

// own is a whole breaker of perdure's.
type own struct {
	clock

	b *breaker.Breaker
}

func newOwn(cfg breaker.Config) (scenario.Rule, error) {
	b, err := breaker.New(cfg, breaker.Options{})
	return &own{clock{time.Now()}, b}, err
}

// Call is as scenario.Rule says.
func (o *own) Call(now int64, failed bool) bool {
	o.at(now)
	p, ok := o.b.Admit()
	if !ok {
		return true
	}
	if failed {
		p.Failure(0)
	} else {
		p.Success(0)
	}
	return o.b.State() != breaker.Closed
}

// Forget closes the breaker as a person would, which forgets the evidence and keeps what was learned.
func (o *own) Forget(int64) {
	o.b.HoldClosed("bench")
	o.b.Release()
}

// ofGobreaker and ofFailsafe learn nothing: to forget, they begin anew.
type ofGobreaker struct {
	clock

	settings func() gobreaker.Settings
	b        *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newGobreaker(settings func() gobreaker.Settings) *ofGobreaker {
	return &ofGobreaker{clock{time.Now()}, settings, gobreaker.NewTwoStepCircuitBreaker[struct{}](settings())}
}

// Call is as scenario.Rule says.
func (o *ofGobreaker) Call(now int64, failed bool) bool {
	o.at(now)
	done, err := o.b.Allow()
	if err != nil {
		return true
	}
	if failed {
		done(failedError{})
	} else {
		done(nil)
	}
	return o.b.State() != gobreaker.StateClosed
}

// Forget is as scenario.Rule says.
func (o *ofGobreaker) Forget(int64) { o.b = gobreaker.NewTwoStepCircuitBreaker[struct{}](o.settings()) }

type failedError struct{}

func (failedError) Error() string { return "failed" }

type ofFailsafe struct {
	clock

	fresh func() circuitbreaker.CircuitBreaker[any]
	b     circuitbreaker.CircuitBreaker[any]
}

func newFailsafe(fresh func() circuitbreaker.CircuitBreaker[any]) *ofFailsafe {
	return &ofFailsafe{clock{time.Now()}, fresh, fresh()}
}

// Call is as scenario.Rule says.
func (o *ofFailsafe) Call(now int64, failed bool) bool {
	o.at(now)
	if !o.b.TryAcquirePermit() {
		return true
	}
	if failed {
		o.b.RecordFailure()
	} else {
		o.b.RecordSuccess()
	}
	return o.b.State() != circuitbreaker.ClosedState
}

// Forget is as scenario.Rule says.
func (o *ofFailsafe) Forget(int64) { o.b = o.fresh() }

// Onsets are the failure rates that follow a healthy time at 1 %.
func Onsets() []float64 { return []float64{1, .5, .2, .1} }

// HealthyRates are the failure rates at which nothing should trip.
func HealthyRates() []float64 { return []float64{.01, .03, .05} }

// Noticed is how one rule did.
type Noticed struct {
	Name string
	// Calls is the mean number of calls to the trip, for each of Onsets; negative: it did not always trip.
	Calls []float64
	// False is how often it tripped in a million calls, for each of HealthyRates.
	False []float64
}

// Detection runs streams of each onset and one long one of each healthy rate through every rule, all the same ones.
func Detection(run Bubble, streams, healthyCalls int) ([]Noticed, error) {
	var out []Noticed
	for _, d := range Detectors() {
		n := Noticed{Name: d.Name}
		var failed error
		fresh := func() scenario.Rule {
			r, err := d.New()
			if err != nil {
				failed = err
			}
			return r
		}
		run(func(context.Context) {
			for _, p := range Onsets() {
				mean, every := scenario.MeanDelay(fresh, p, streams)
				if !every {
					mean = -1
				}
				n.Calls = append(n.Calls, mean)
			}
			for _, p := range HealthyRates() {
				trips := scenario.FalseTripsIn(healthyCalls, fresh, 1, scenario.Always(p))
				n.False = append(n.False, trips*1e6/float64(healthyCalls))
			}
		})
		if failed != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, failed)
		}
		out = append(out, n)
	}
	return out, nil
}

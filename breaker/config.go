package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Rule names how a breaker decides that failures are too many.
type Rule string

// The rules.
const (
	// Adaptive is a sequential test (a Bernoulli CUSUM) against a learned failure rate.
	Adaptive Rule = "adaptive"
	// Consecutive opens after ConsecutiveFailures failures with no success between them.
	Consecutive Rule = "consecutive"
	// Rate opens at a failure when FailureRate of the calls of the last Window failed, given MinCalls.
	Rate Rule = "rate"
	// Off never opens by itself; Trip and holds still work.
	Off Rule = "off"
)

// What a zero field means.
const (
	DefaultFalseTripEvery      = 1e6
	DefaultConsecutiveFailures = 5
	DefaultFailureRate         = 0.5
	DefaultWindow              = 10 * time.Second
	DefaultMinCalls            = 20
	DefaultSlowCallRate        = 0.5
	DefaultOpenFor             = time.Second
	DefaultMaxOpenFor          = time.Minute
	DefaultSuccessThreshold    = 3
	DefaultProbeLease          = 10 * time.Second
	DefaultRampFor             = time.Second
)

// Config is the plain data of a breaker. The zero Config is the default: the adaptive rule with one
// false trip in a million healthy calls.
type Config struct {
	// Rule is how the breaker decides. Empty means adaptive.
	Rule Rule `json:"rule,omitempty" yaml:"rule,omitempty"`
	// FalseTripEvery is, for the adaptive rule, the wanted mean number of healthy calls between two
	// trips that had no reason, from 1e3 to 1e12. Zero means 1e6.
	FalseTripEvery float64 `json:"false_trip_every,omitempty" yaml:"false_trip_every,omitempty"`
	// ConsecutiveFailures is the run that opens by the consecutive rule. Zero means 5.
	ConsecutiveFailures int `json:"consecutive_failures,omitempty" yaml:"consecutive_failures,omitempty"`
	// FailureRate is the share of failed calls, above 0 and up to 1, that opens by the rate rule. Zero means 0.5.
	FailureRate float64 `json:"failure_rate,omitempty" yaml:"failure_rate,omitempty"`
	// Window is how far back FailureRate and SlowCallRate look, in ten steps. Zero means 10s.
	Window time.Duration `json:"window,omitempty" yaml:"window,omitempty"`
	// MinCalls is the number of calls in Window below which no rate is judged. Zero means 20.
	MinCalls int `json:"min_calls,omitempty" yaml:"min_calls,omitempty"`
	// SlowCall is the latency from which a successful call is slow. Zero means that no call is: the
	// slow-call rule is off. It works beside every Rule but off.
	SlowCall time.Duration `json:"slow_call,omitempty" yaml:"slow_call,omitempty"`
	// SlowCallRate is the share of slow calls in Window that opens, given SlowCall. Zero means 0.5.
	SlowCallRate float64 `json:"slow_call_rate,omitempty" yaml:"slow_call_rate,omitempty"`
	// OpenFor is how long the breaker stays open at first; the true time is 75 to 100 % of it, at random. Zero means 1s.
	OpenFor time.Duration `json:"open_for,omitempty" yaml:"open_for,omitempty"`
	// MaxOpenFor is the limit of OpenFor's doubling, and the time spent closed that takes one doubling back. Zero means 60s.
	MaxOpenFor time.Duration `json:"max_open_for,omitempty" yaml:"max_open_for,omitempty"`
	// SuccessThreshold is the number of successes that closes a half-open breaker. Zero means 3.
	SuccessThreshold int `json:"success_threshold,omitempty" yaml:"success_threshold,omitempty"`
	// ProbeLease is how long a half-open call may stay unreported before its place is given to
	// another. Set it above the operation's usual duration. Zero means 10s.
	ProbeLease time.Duration `json:"probe_lease,omitempty" yaml:"probe_lease,omitempty"`
	// RampFor is how long admission stays limited after the breaker has closed. Zero means 1s; negative means no ramp.
	RampFor time.Duration `json:"ramp_for,omitempty" yaml:"ramp_for,omitempty"`
}

// Or returns c with its zero fields taken from def, so that configurations can be laid over each other.
func (c Config) Or(def Config) Config {
	return Config{
		Rule:                or(c.Rule, def.Rule),
		FalseTripEvery:      or(c.FalseTripEvery, def.FalseTripEvery),
		ConsecutiveFailures: or(c.ConsecutiveFailures, def.ConsecutiveFailures),
		FailureRate:         or(c.FailureRate, def.FailureRate),
		Window:              or(c.Window, def.Window),
		MinCalls:            or(c.MinCalls, def.MinCalls),
		SlowCall:            or(c.SlowCall, def.SlowCall),
		SlowCallRate:        or(c.SlowCallRate, def.SlowCallRate),
		OpenFor:             or(c.OpenFor, def.OpenFor),
		MaxOpenFor:          or(c.MaxOpenFor, def.MaxOpenFor),
		SuccessThreshold:    or(c.SuccessThreshold, def.SuccessThreshold),
		ProbeLease:          or(c.ProbeLease, def.ProbeLease),
		RampFor:             or(c.RampFor, def.RampFor),
	}
}

// Validate returns every fault of c joined, each with the name of its field, or nil.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	f := c.withDefaults()
	switch f.Rule {
	case Adaptive, Consecutive, Rate, Off:
	default:
		fault("rule: %q is not adaptive, consecutive, rate or off", string(c.Rule))
	}
	if !(f.FalseTripEvery >= 1e3 && f.FalseTripEvery <= 1e12) {
		fault("false_trip_every: %v is not between 1e3 and 1e12", f.FalseTripEvery)
	}
	for _, r := range []struct {
		name  string
		value float64
	}{{"failure_rate", f.FailureRate}, {"slow_call_rate", f.SlowCallRate}} {
		if !(r.value > 0 && r.value <= 1) {
			fault("%s: %v is not above 0 and up to 1", r.name, r.value)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"consecutive_failures", f.ConsecutiveFailures},
		{"min_calls", f.MinCalls},
		{"success_threshold", f.SuccessThreshold},
	} {
		if n.value < 1 || n.value > math.MaxInt32 {
			fault("%s: %d is not between 1 and %d", n.name, n.value, math.MaxInt32)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"window", f.Window, 10 * time.Millisecond},
		{"slow_call", f.SlowCall, 0},
		{"open_for", f.OpenFor, time.Millisecond},
		{"max_open_for", f.MaxOpenFor, time.Millisecond},
		{"probe_lease", f.ProbeLease, time.Millisecond},
	} {
		if d.value < d.least {
			fault("%s: %s is less than %s", d.name, d.value, d.least)
		}
		if d.value > longest {
			fault("%s: %s is more than %s", d.name, d.value, longest)
		}
	}
	if f.MaxOpenFor < f.OpenFor {
		fault("max_open_for: %s is less than open_for %s", f.MaxOpenFor, f.OpenFor)
	}
	if f.RampFor > longest {
		fault("ramp_for: %s is more than %s", f.RampFor, longest)
	}
	return errors.Join(faults...)
}

// longest bounds every duration, so that no sum of them overflows.
const longest = 365 * 24 * time.Hour

func (c Config) withDefaults() Config {
	return c.Or(Config{
		Rule:                Adaptive,
		FalseTripEvery:      DefaultFalseTripEvery,
		ConsecutiveFailures: DefaultConsecutiveFailures,
		FailureRate:         DefaultFailureRate,
		Window:              DefaultWindow,
		MinCalls:            DefaultMinCalls,
		SlowCallRate:        DefaultSlowCallRate,
		OpenFor:             DefaultOpenFor,
		MaxOpenFor:          DefaultMaxOpenFor,
		SuccessThreshold:    DefaultSuccessThreshold,
		ProbeLease:          DefaultProbeLease,
		RampFor:             DefaultRampFor,
	})
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

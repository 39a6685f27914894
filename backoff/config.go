// Package backoff computes how long to wait before work is repeated: delay
// sequences that grow, a ceiling on them, and jitter that keeps many callers
// from coming back at the same moment.
//
// A [Config] is plain data: it is read from YAML, compared, printed and shared
// by any number of goroutines. It holds no state, so one value serves every
// call; the attempt number and the randomness come from the caller.
package backoff

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Strategy names how the ceiling of the delay grows from one attempt to the
// next.
type Strategy string

// The strategies; i is the number of the attempt, counted from 0.
const (
	Exponential Strategy = "exponential" // Initial · Multiplierⁱ
	Linear      Strategy = "linear"      // Initial · (i+1)
	Constant    Strategy = "constant"    // Initial
	Fibonacci   Strategy = "fibonacci"   // Initial · 1, 1, 2, 3, 5, 8, …
	Custom      Strategy = "custom"      // Func(i)
)

// Jitter names how much of the ceiling is left to chance. The names and the
// reasons are those of Marc Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015.
type Jitter string

// The kinds of jitter; c is the ceiling.
const (
	FullJitter  Jitter = "full"  // uniform in [0, c]: the fewest collisions
	EqualJitter Jitter = "equal" // uniform in [c/2, c]: never shorter than half
	NoJitter    Jitter = "none"  // exactly c
)

// What a zero field means.
const (
	DefaultInitial    = 50 * time.Millisecond
	DefaultMax        = 20 * time.Second
	DefaultMultiplier = 2.0
)

// Config says how long to wait before each repeat. The zero Config is the
// default: U(0,1) · min(20s, 50ms · 2ⁱ). It is safe for concurrent use as long as nobody changes it
// and Func, if set, is.
type Config struct {
	// Strategy is how the ceiling grows. Empty means exponential, or custom when Func is set.
	Strategy Strategy `json:"strategy,omitempty" yaml:"strategy,omitempty"`
	// Initial is the ceiling of the first delay. Zero means 50ms.
	Initial time.Duration `json:"initial,omitempty" yaml:"initial,omitempty"`
	// Max is the ceiling of every delay. Zero means 20s.
	Max time.Duration `json:"max,omitempty" yaml:"max,omitempty"`
	// Multiplier is the factor of the exponential strategy, at least 1. Zero means 2.
	Multiplier float64 `json:"multiplier,omitempty" yaml:"multiplier,omitempty"`
	// Jitter is how much of the ceiling is left to chance. Empty means full.
	Jitter Jitter `json:"jitter,omitempty" yaml:"jitter,omitempty"`
	// Func is the ceiling of the custom strategy for an attempt, counted from 0. What it returns is
	// held between 0 and Max, and jittered like any other. It must be safe for concurrent use.
	Func func(attempt int) time.Duration `json:"-" yaml:"-"`
}

// Or returns c with its zero fields taken from def, so that configurations can
// be laid over each other: an operation's over its group's over the program's.
// A Func goes with the custom strategy: def's is taken only if c names no other.
func (c Config) Or(def Config) Config {
	if c.Strategy == "" {
		switch {
		case c.Func != nil:
			c.Strategy = Custom
		case def.Strategy == "" && def.Func != nil:
			c.Strategy = Custom
		default:
			c.Strategy = def.Strategy
		}
	}
	if c.Func == nil && c.Strategy == Custom {
		c.Func = def.Func
	}
	c.Initial = or(c.Initial, def.Initial)
	c.Max = or(c.Max, def.Max)
	c.Multiplier = or(c.Multiplier, def.Multiplier)
	c.Jitter = or(c.Jitter, def.Jitter)
	return c
}

// Validate returns every fault of c joined, each with the name of its field,
// or nil. Delay and Ceiling of a Config with faults neither panic nor leave
// their bounds, but nothing else is promised of them.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	full := c.withDefaults()
	switch full.Strategy {
	case Custom:
		if c.Func == nil {
			fault("func: missing, the custom strategy needs one")
		}
	case Exponential, Linear, Constant, Fibonacci:
		if c.Func != nil {
			fault("func: set, but strategy is %s, not custom", c.Strategy)
		}
	default:
		fault("strategy: %q is not exponential, linear, constant, fibonacci or custom", string(c.Strategy))
	}
	if c.Initial < 0 {
		fault("initial: %s is negative", c.Initial)
	}
	switch {
	case c.Max < 0:
		fault("max: %s is negative", c.Max)
	case full.Max < full.Initial && full.Strategy != Custom:
		fault("max: %s is less than initial %s", full.Max, full.Initial)
	}
	if full.Multiplier < 1 || math.IsNaN(full.Multiplier) || math.IsInf(full.Multiplier, 0) {
		fault("multiplier: %v is not a number of at least 1", full.Multiplier)
	}
	switch full.Jitter {
	case FullJitter, EqualJitter, NoJitter:
	default:
		fault("jitter: %q is not full, equal or none", string(c.Jitter))
	}
	return errors.Join(faults...)
}

// withDefaults returns c with its zero fields at their documented defaults.
func (c Config) withDefaults() Config {
	return c.Or(Config{
		Strategy:   Exponential,
		Initial:    DefaultInitial,
		Max:        DefaultMax,
		Multiplier: DefaultMultiplier,
		Jitter:     FullJitter,
	})
}

// or returns a unless it is zero, else b.
func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

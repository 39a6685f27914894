package health

import (
	"context"
	"errors"
)

// BreakerState is what a circuit breaker says of itself.
type BreakerState struct {
	// State is its state in words: closed, half_open or open. Any other counts
	// as open.
	State string
	// Held says that a person holds it in that state.
	Held bool
}

// breakerError is what a breaker's check returns. Its texts hold no data.
type breakerError string

const (
	errOpen     breakerError = "the circuit breaker is open"
	errHeldOpen breakerError = "the circuit breaker is held open by a person"
	errHeld     breakerError = "the circuit breaker is held closed by a person"
	errHalf     breakerError = "the circuit breaker is trying out"
)

func (e breakerError) Error() string { return string(e) }

// Describe makes it a Describer of the package redact.
func (e breakerError) Describe(func(error) string) string { return string(e) }

// Breaker returns a check that follows the circuit breaker of a database. It
// asks the breaker, never the database, at every request and without damping:
// the breaker has judged already. With a perdure.Manager:
//
//	health.Breaker("database", func() health.BreakerState {
//		s := m.Breaker("database").Snapshot()
//		return health.BreakerState{State: s.State.String(), Held: s.Held != breaker.NotHeld}
//	})
//
// A breaker that is not closed is a warning, never a failure, and the checks
// after it are unknown while it is open: every replica of a program shares the
// database, so that all would be taken out of service together, and none would
// be there to say why, to serve what needs no database, or to take up work
// again at once. Use [Failing] where a replica without its database is of no
// use and others have another one.
func Breaker(name string, state func() BreakerState) Check {
	return Check{Name: name, Interval: -1, Fall: 1, Rise: 1, Run: func(context.Context) error {
		s := state()
		switch {
		case s.State == "closed" && !s.Held:
			return nil
		case s.State == "closed":
			return Warn(errHeld)
		case s.State == "half_open":
			return Warn(errHalf)
		case s.Held:
			return Away(errHeldOpen)
		}
		return Away(errOpen)
	}}
}

// Failing returns a check that fails where c warns.
func Failing(c Check) Check {
	run := c.Run
	if run == nil {
		return c // New says so
	}
	c.Run = func(ctx context.Context) error {
		err := run(ctx)
		if w, ok := errors.AsType[*warning](err); ok {
			return w.err
		}
		return err
	}
	return c
}

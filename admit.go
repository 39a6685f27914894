package perdure

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/breaker"
)

// permit is the right of one attempt to begin, from both breakers.
type permit struct {
	database  breaker.Permit
	operation breaker.Permit // the zero Permit if the operation has no breaker
	limited   bool           // the database's breaker is half-open, or in the ramp after it
}

func (p permit) ignore() {
	p.database.Ignore()
	p.operation.Ignore()
}

func (p permit) success(took time.Duration) {
	p.database.Success(took)
	p.operation.Success(took)
}

// admit asks the database's breaker, then the operation's. It returns the gate
// that refused, or nil.
func (m *Manager) admit(o *operation) (permit, *gate) {
	db, ok := m.database.breaker.Admit()
	if !ok {
		return permit{}, m.database
	}
	p := permit{database: db, limited: db.Limited()}
	if o.gate == nil {
		return p, nil
	}
	if p.operation, ok = o.gate.breaker.Admit(); !ok {
		db.Ignore()
		return permit{}, o.gate
	}
	return p, nil
}

type permitKey struct{ m *Manager }

// outer is an attempt that holds one of the few permits of a database's breaker
// that is half-open or in its ramp.
type outer struct{ ended atomic.Bool }

// holdsPermit reports whether ctx belongs to an attempt that holds the
// database's permit already, or to an open transaction: work inside must not
// ask for a second one, which a half-open breaker would not have.
func (m *Manager) holdsPermit(ctx context.Context) bool {
	if o, ok := ctx.Value(permitKey{m}).(*outer); ok && !o.ended.Load() && m.database.breaker.State() != breaker.Open {
		return true
	}
	return m.InTransaction(ctx)
}

// admit gets a permit for the next attempt, and parks until there is one if
// the policy allows.
func (c *call) admit(ctx context.Context) (permit, error) {
	switch {
	case c.m.closing.Load():
		return permit{}, c.stopped(ctx, ErrClosed)
	case ctx.Err() != nil:
		return permit{}, c.stopped(ctx, context.Cause(ctx))
	}
	p, refused := c.m.admit(c.o)
	for refused != nil {
		if refused == c.m.database && c.m.holdsPermit(ctx) {
			return c.admitInside(ctx)
		}
		if c.p.Park <= c.parked || c.m.InTransaction(ctx) {
			return permit{}, c.refused(ctx, refused, "")
		}
		got, err := c.park(ctx, refused)
		if err != nil {
			return permit{}, err
		}
		p, refused = c.complete(refused, got)
	}
	return p, nil
}

// admitInside asks only the operation's breaker.
func (c *call) admitInside(ctx context.Context) (permit, error) {
	if c.o.gate == nil {
		return permit{}, nil
	}
	own, ok := c.o.gate.breaker.Admit()
	if !ok {
		return permit{}, c.refused(ctx, c.o.gate, "")
	}
	return permit{operation: own}, nil
}

// complete adds the other breaker's permit to the one that parking got. If the
// other refuses, the first goes back.
func (c *call) complete(g *gate, got breaker.Permit) (permit, *gate) {
	switch {
	case g == c.m.database && c.o.gate == nil:
		return permit{database: got, limited: got.Limited()}, nil
	case g == c.m.database:
		own, ok := c.o.gate.breaker.Admit()
		if !ok {
			got.Ignore()
			return permit{}, c.o.gate
		}
		return permit{database: got, operation: own, limited: got.Limited()}, nil
	}
	db, ok := c.m.database.breaker.Admit()
	if !ok {
		got.Ignore()
		return permit{}, c.m.database
	}
	return permit{database: db, operation: got, limited: db.Limited()}, nil
}

// park waits for g.
func (c *call) park(ctx context.Context, g *gate) (breaker.Permit, error) {
	if c.m.parked.Add(1) > int64(c.m.cfg.MaxParked) {
		c.m.parked.Add(-1)
		return breaker.Permit{}, c.refused(ctx, g, "too many calls are parked: raise config.max_parked")
	}
	defer c.m.parked.Add(-1)
	began := c.m.now()
	c.tellParked(ctx, g.name, 0)
	got, err := g.wait(ctx, c.p.Park-c.parked)
	c.at = c.m.now()
	waited := c.at - began
	c.parked += waited
	c.o.stats.troubled().park(waited)
	c.tellReleased(ctx, g.name, waited)
	switch {
	case err == nil:
		return got, nil
	case errors.Is(err, errParkedTooLong):
		return breaker.Permit{}, c.refused(ctx, g, "policy.park ran out: raise it to wait longer")
	}
	return breaker.Permit{}, c.stopped(ctx, err)
}

// refused gives up because g did not admit the call (any longer).
func (c *call) refused(ctx context.Context, g *gate, hint string) error {
	if c.attempts == 0 && c.parked == 0 && hint == "" {
		return c.refuse(ctx, g)
	}
	if hint == "" {
		hint = hintRefused(g)
	}
	if c.attempts == 0 {
		c.o.refused().later.Add(1)
	}
	return c.fail(ctx, &Error{Reason: ReasonBreakerOpen, Hint: hint, RetryAt: g.breaker.NextProbe(), cause: ErrBreakerOpen})
}

// stopped gives up because the caller's context or the Manager ended.
func (c *call) stopped(ctx context.Context, cause error) error {
	if c.attempts == 0 && errors.Is(cause, ErrClosed) {
		return ErrClosed
	}
	return c.fail(ctx, &Error{Reason: ReasonCanceled, cause: cause})
}

func (c *call) tellParked(ctx context.Context, where string, waited time.Duration) {
	if h := c.m.hooks.Load().Parked; h != nil {
		h(ctx, ParkEvent{Op: c.op.Name, For: where, Waited: waited, CorrelationID: c.correlation(ctx)})
	}
}

func (c *call) tellReleased(ctx context.Context, where string, waited time.Duration) {
	if h := c.m.hooks.Load().Released; h != nil {
		h(ctx, ParkEvent{Op: c.op.Name, For: where, Waited: waited, CorrelationID: c.correlation(ctx)})
	}
}

type transactionKey struct{ m *Manager }

// WithTransaction returns the context of an open transaction: under it nothing
// of m repeats or parks, and nothing asks the database's breaker again.
// Adapters pass it to the function that runs inside the transaction.
func (m *Manager) WithTransaction(ctx context.Context) context.Context {
	return context.WithValue(ctx, transactionKey{m}, true)
}

// InTransaction reports whether ctx comes from WithTransaction of m.
func (m *Manager) InTransaction(ctx context.Context) bool {
	return ctx.Value(transactionKey{m}) != nil
}

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

// admit asks the database's breaker, then the operation's, for p, which must be zero. It returns the gate that
// refused (p is then zero again), or nil. A permit is large: it is written where it stays.
func (m *Manager) admit(o *operation, p *permit) (refused *gate) {
	var ok bool
	if p.database, ok = m.database.breaker.Admit(); !ok {
		*p = permit{}
		return m.database
	}
	p.limited = p.database.Limited()
	if o.gate == nil {
		return nil
	}
	if p.operation, ok = o.gate.breaker.Admit(); !ok {
		p.database.Ignore()
		*p = permit{}
		return o.gate
	}
	p.limited = p.limited || p.operation.Limited()
	return nil
}

type permitKey struct{ g *gate }

// outer is an attempt that holds one of the few permits of a breaker that is
// half-open or in its ramp.
type outer struct{ ended atomic.Bool }

// cover returns the context of an attempt whose permits are few: work inside
// must not ask the same breaker for a second one, which it would not have.
func (c *call) cover(ctx context.Context, held *outer) context.Context {
	if c.permit.database.Limited() {
		ctx = context.WithValue(ctx, permitKey{c.m.database}, held)
	}
	if c.permit.operation.Limited() {
		ctx = context.WithValue(ctx, permitKey{c.o.gate}, held)
	}
	return ctx
}

// covers reports whether ctx belongs to an attempt that holds a permit of g
// already.
func (g *gate) covers(ctx context.Context) bool {
	o, ok := ctx.Value(permitKey{g}).(*outer)
	return ok && !o.ended.Load() && g.breaker.State() != breaker.Open
}

// covered reports whether the call may pass g though g refuses it: it belongs
// to an attempt that holds g's permit, or to an open transaction, for which
// the database's breaker is of no use.
func (c *call) covered(ctx context.Context, g *gate) bool {
	return g.covers(ctx) || g == c.m.database && c.m.InTransaction(ctx)
}

// admit gets the permit of the next attempt, and parks until there is one if
// the policy allows.
func (c *call) admit(ctx context.Context) error {
	switch {
	case c.m.closing.Load():
		return c.stopped(ctx, ErrClosed)
	case ctx.Err() != nil:
		return c.stopped(ctx, context.Cause(ctx))
	}
	if c.m.admit(c.o, &c.permit) == nil {
		return nil
	}
	p := &c.permit
	for refused := c.ask(ctx, p); refused != nil; refused = c.ask(ctx, p) {
		if c.p.Park <= c.parked || c.m.InTransaction(ctx) {
			return c.refused(ctx, refused, "")
		}
		got, err := c.park(ctx, refused)
		if err != nil {
			return err
		}
		if refused == c.m.database {
			p.database = got
		} else {
			p.operation = got
		}
	}
	p.limited = p.database.Limited() || p.operation.Limited()
	return nil
}

// ask completes p by the permits that it lacks. If a gate refuses, p is given
// back as a whole: nobody holds one permit while waiting for the other.
func (c *call) ask(ctx context.Context, p *permit) (refused *gate) {
	if !c.askOne(ctx, c.m.database, &p.database) {
		refused = c.m.database
	} else if c.o.gate != nil && !c.askOne(ctx, c.o.gate, &p.operation) {
		refused = c.o.gate
	}
	if refused != nil {
		p.ignore()
		*p = permit{}
	}
	return refused
}

func (c *call) askOne(ctx context.Context, g *gate, p *breaker.Permit) bool {
	if *p != (breaker.Permit{}) {
		return true
	}
	var ok bool
	*p, ok = g.breaker.Admit()
	return ok || c.covered(ctx, g)
}

// park waits for g.
func (c *call) park(ctx context.Context, g *gate) (breaker.Permit, error) {
	if !c.m.mayPark() {
		return breaker.Permit{}, c.refused(ctx, g, hintTooManyParked)
	}
	defer c.m.parked.Add(-1)
	began := c.m.now()
	c.tellParked(ctx, g.name, 0)
	got, err := g.wait(ctx, c.p.Park-c.parked)
	c.at = c.m.now()
	waited := c.at - began
	c.parked += waited
	c.o.stats.troubled().park(waited)
	told := false
	defer func() {
		if !told {
			got.Ignore() // the hook panicked
		}
	}()
	c.tellReleased(ctx, g.name, waited)
	told = true
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
	if c.n == 0 && c.parked == 0 && hint == "" {
		return c.refuse(ctx, g)
	}
	if hint == "" {
		hint = hintRefused(g)
	}
	if c.n == 0 {
		c.o.refused().later.Add(1)
	}
	return c.fail(ctx, &end{reason: ReasonBreakerOpen, hint: hint, retryAt: g.nextProbe(), cause: ErrBreakerOpen})
}

const hintTooManyParked = "too many calls are parked: raise config.max_parked"

// mayPark takes one of the places of parked calls; whoever gets it gives it
// back.
func (m *Manager) mayPark() bool {
	if m.parked.Add(1) <= int64(m.cfg.MaxParked) {
		return true
	}
	m.parked.Add(-1)
	return false
}

// stopped gives up because the caller's context or the Manager ended.
func (c *call) stopped(ctx context.Context, cause error) error {
	if c.n == 0 && errors.Is(cause, ErrClosed) {
		c.ended(ctx, ErrClosed, ReasonCanceled)
		return ErrClosed
	}
	return c.fail(ctx, &end{reason: ReasonCanceled, cause: cause})
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
// of m repeats or parks, and the database's breaker refuses nothing.
// Adapters pass it to the function that runs inside the transaction.
func (m *Manager) WithTransaction(ctx context.Context) context.Context {
	return context.WithValue(ctx, transactionKey{m}, true)
}

// InTransaction reports whether ctx comes from WithTransaction of m.
func (m *Manager) InTransaction(ctx context.Context) bool {
	return ctx.Value(transactionKey{m}) != nil
}

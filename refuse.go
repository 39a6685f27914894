package perdure

import (
	"context"
	"sync/atomic"

	"github.com/perdure/perdure/breaker"
)

// refuse returns the error of a call that a breaker did not admit and that has
// not begun. The error is shared by all such calls until the breaker changes.
func (c *call) refuse(ctx context.Context, g *gate) error {
	all := c.o.refused()
	all.atOnce.Add(1)
	shared := &all.byDatabase
	if g != c.m.database {
		shared = &all.byOwn
	}
	r, epoch := shared.Load(), g.epoch.Load()
	if r == nil || r.epoch != epoch {
		r = &refusal{epoch: epoch, err: Error{
			Op:      c.op.Name,
			Reason:  ReasonBreakerOpen,
			Hint:    hintRefused(g),
			RetryAt: g.nextProbe(),
			Err:     ErrBreakerOpen,
			manager: c.m,
		}}
		shared.Store(r)
	}
	err := &r.err
	if c.o == c.m.other { // the names that share it do not share an error
		own := r.err
		own.Op = c.op.Name
		err = &own
	}
	if h := c.m.hooks.Load().CallEnd; h != nil {
		h(ctx, CallEvent{Op: c.op.Name, Reason: ReasonBreakerOpen, Err: err, CorrelationID: c.m.correlationID(ctx)})
	}
	return err
}

// refusals are the shared errors of one operation's refused calls.
type refusals struct {
	atOnce     atomic.Uint64 // calls that never began, nor waited
	later      atomic.Uint64 // calls that waited, and did not begin
	byDatabase atomic.Pointer[refusal]
	byOwn      atomic.Pointer[refusal]
}

// refused returns the operation's refusals, made when first needed.
func (o *operation) refused() *refusals {
	if r := o.refusals.Load(); r != nil {
		return r
	}
	o.refusals.CompareAndSwap(nil, new(refusals))
	return o.refusals.Load()
}

// rejected returns how many calls a breaker refused before they began: at
// once, and after they had waited.
func (o *operation) rejected() (atOnce, later uint64) {
	if r := o.refusals.Load(); r != nil {
		return r.atOnce.Load(), r.later.Load()
	}
	return 0, 0
}

// refusal is the shared error of refused calls, and the epoch of the gate for
// which it is true.
type refusal struct {
	epoch uint64
	err   Error
}

func hintRefused(g *gate) string {
	switch {
	case g.breaker.Held() == breaker.HeldOpen:
		return "the breaker of " + g.name + " is held open: release it"
	case g.name == databaseName:
		return "the database does not answer; set policy.park to wait for it instead"
	}
	return "the operation fails too often; set policy.park to wait for it instead"
}

package perdure

import (
	"context"
	"time"

	"github.com/perdure/perdure/pgerr"
)

// body is the work of a call: one of its funcs is set. It is passed by value,
// so that neither kind of call allocates.
type body struct {
	plain   func(ctx context.Context) error
	guarded func(ctx context.Context, attempt int) (Judgement, error)
}

// Do runs fn as an attempt of op, and again under op's policy while fn fails,
// the verdict of its error allows a repeat, and op is Idempotent or ReadOnly.
// A permanent error of the first attempt comes back untouched; giving up
// returns an *[Error]. If ctx has ended, fn is not run, and Do returns its
// cause.
//
// A first attempt that succeeds costs no allocation. Do may be called by any
// number of goroutines.
func (m *Manager) Do(ctx context.Context, op Op, fn func(ctx context.Context) error) error {
	return m.run(ctx, &op, body{plain: fn})
}

// Get is [Manager.Do] for work that returns a value: the value of the attempt
// that succeeded, or the zero value with an error.
func Get[T any](ctx context.Context, m *Manager, op Op, fn func(ctx context.Context) (T, error)) (T, error) {
	var out T
	err := m.run(ctx, &op, body{plain: func(ctx context.Context) error {
		v, err := fn(ctx)
		if err == nil {
			out = v
		}
		return err
	}})
	return out, err
}

// Guarded is [Manager.Do] for adapters, whose fn knows what the server did: it
// repeats by fn's [Judgement] instead of by op alone. attempt counts from 1.
func (m *Manager) Guarded(ctx context.Context, op Op, fn func(ctx context.Context, attempt int) (Judgement, error)) error {
	return m.run(ctx, &op, body{guarded: fn})
}

// run is the whole path of a call that succeeds at once.
func (m *Manager) run(ctx context.Context, op *Op, b body) error {
	if m == nil {
		return errNilManager
	}
	o, err := m.operation(op)
	if err != nil {
		return err
	}
	p, err := o.policy(op.Policy)
	if p == nil && err == nil { // the shared operation has no policy of its own
		p, err = m.policies.resolve(op)
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if h := m.hooks.Load(); h.CallStart != nil {
		c := call{m: m, op: *op, o: o, p: p}
		return c.runTold(h.CallStart(ctx, CallStartEvent{Op: op.Name}), b)
	}
	w := work{name: op.Name, o: o, n: 1}
	refused := m.admit(o, &w.permit)
	if refused != nil || p.AttemptTimeout > 0 || w.permit.limited || m.closing.Load() {
		c := call{m: m, op: *op, o: o, p: p}
		return c.runSlowly(ctx, b, w.permit, refused)
	}
	start := m.now()
	w.start, w.began = start, start
	j, err := m.attempt(ctx, b, &w)
	took := m.now() - start
	if err != nil {
		m.slow.calls.Add(1)
		c := call{m: m, op: *op, o: o, p: p, start: start, at: start + took, attempts: 1}
		return c.repeat(ctx, b, w.permit, j, err, took, false)
	}
	w.permit.database.Success(took)
	w.permit.operation.Success(took)
	o.stats.first.add(took)
	if h := m.hooks.Load(); h.AttemptEnd != nil || h.CallEnd != nil {
		h.succeeded(ctx, op.Name, took)
	}
	return nil
}

// succeeded tells of a call that succeeded at once.
func (h *Hooks) succeeded(ctx context.Context, op string, took time.Duration) {
	id := CorrelationID(ctx)
	if h.AttemptEnd != nil {
		h.AttemptEnd(ctx, AttemptEvent{Op: op, Attempt: 1, Duration: took, CorrelationID: id})
	}
	if h.CallEnd != nil {
		h.CallEnd(ctx, CallEvent{Op: op, Attempts: 1, Elapsed: took, CorrelationID: id})
	}
}

// attempt runs the work once. If it panics (or ends its goroutine), the
// permits go back as a failure of the operation, and the panic goes on up.
func (m *Manager) attempt(ctx context.Context, b body, w *work) (j Judgement, err error) {
	returned := false
	defer func() {
		if !returned {
			m.panicked(ctx, w)
		}
	}()
	if b.plain != nil {
		err = b.plain(ctx)
	} else {
		j, err = b.guarded(ctx, w.n)
	}
	returned = true
	return j, err
}

// call is a call that did not go through at once.
type call struct {
	m        *Manager
	op       Op
	o        *operation
	p        *policy
	start    time.Duration
	at       time.Duration // the clock, as of the last thing that took time
	tried    time.Duration // when the last attempt that failed ended
	attempts int           // begun
	free     int           // of these, those that cost nothing: the database was down, and the call parked
	parked   time.Duration
	id       string // the correlation ID, made when first needed
	last     error  // of the last attempt
	inner    bool   // last is an error of this Manager: an inner call gave up
	stopping bool   // last tells that the caller's context ended
	verdict  pgerr.Verdict
	permit   permit // of the attempt, until it is reported
}

// runSlowly runs a call whose first attempt is not a plain one.
func (c *call) runSlowly(ctx context.Context, b body, permit permit, refused *gate) error {
	if refused != nil && c.p.Park <= 0 && !c.covered(ctx, refused) && !c.m.closing.Load() {
		// The cheapest thing that a Manager does: no clock is read for a refusal.
		return c.refuse(ctx, refused)
	}
	c.start = c.m.now()
	c.at = c.start
	if c.m.closing.Load() {
		permit.ignore()
		return c.stopped(ctx, ErrClosed)
	}
	if refused != nil {
		var err error
		if permit, err = c.admit(ctx); err != nil {
			return err
		}
	}
	c.m.slow.calls.Add(1)
	j, err, took, timedOut := c.attempt(ctx, b, permit)
	if err == nil {
		return c.succeed(ctx, permit, took)
	}
	return c.repeat(ctx, b, permit, j, err, took, timedOut)
}

// attempt runs the work once, under the context that the policy asks for.
func (c *call) attempt(ctx context.Context, b body, permit permit) (j Judgement, err error, took time.Duration, timedOut bool) { //nolint:revive,staticcheck // the error belongs to the judgement
	c.attempts++
	own := ctx
	if permit.limited {
		held := new(outer)
		defer held.ended.Store(true)
		own = c.cover(own, permit, held)
	}
	if c.p.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		own, cancel = context.WithTimeout(own, c.p.AttemptTimeout)
		defer cancel()
	}
	start := c.at
	j, err = c.m.attempt(own, b, &work{
		name: c.op.Name, o: c.o, permit: permit, start: c.start, began: start, parked: c.parked, n: c.attempts, id: c.id,
	})
	c.at = c.m.now()
	return j, err, c.at - start, err != nil && own.Err() != nil && ctx.Err() == nil
}

// repeat takes a failed attempt and goes on until the call succeeds or there
// is a reason to give up.
func (c *call) repeat(ctx context.Context, b body, p permit, j Judgement, err error, took time.Duration, timedOut bool) error {
	c.permit = p
	defer func() { c.permit.ignore() }() // if code of the error's, or a Classify, panics
	for {
		after := c.judge(ctx, j, err, took, timedOut)
		p, c.permit = c.permit, permit{}
		c.evidence(ctx, p, took)
		c.failed(ctx, took)
		reason := c.may(ctx, j)
		if reason == reasonNone {
			reason = c.wait(ctx, after)
		}
		if reason != reasonNone {
			return c.giveUp(ctx, reason, j)
		}
		if p, err = c.admit(ctx); err != nil {
			return err
		}
		c.o.stats.troubled().repeat(c.attempts + 1)
		c.permit = p // if the hook panics
		own := c.again(ctx)
		c.permit = permit{}
		j, err, took, timedOut = c.attempt(own, b, p)
		if err == nil {
			return c.succeed(ctx, p, took)
		}
		c.permit = p
	}
}

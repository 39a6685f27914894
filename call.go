package perdure

import (
	"context"
	"time"

	"github.com/perdure/perdure/breaker"
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
		c := call{m: m, op: *op, p: p, work: work{o: o}}
		return c.runTold(h.CallStart(ctx, CallStartEvent{Op: op.Name}), b)
	}
	w := work{o: o}
	refused := m.admit(o, &w.permit)
	if refused != nil || p.AttemptTimeout > 0 || w.permit.limited || m.closing.Load() {
		c := call{m: m, op: *op, p: p, work: w}
		return c.runSlowly(ctx, b, refused)
	}
	start := m.now()
	w.start, w.began, w.n = start, start, 1
	var j Judgement
	err = m.attempt(ctx, b, &j, op.Name, &w)
	took := m.now() - start
	if err != nil {
		m.slow.calls.Add(1)
		c := call{m: m, op: *op, p: p, work: w, at: start + took, took: took, last: err}
		return c.repeat(ctx, b, &j)
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

// attempt runs the work once; guarded work leaves its judgement in j. If it
// panics (or ends its goroutine), the permits go back as a failure of the
// operation, and the panic goes on up.
func (m *Manager) attempt(ctx context.Context, b body, j *Judgement, op string, w *work) (err error) {
	returned := false
	defer func() {
		if !returned {
			m.panicked(ctx, op, w)
		}
	}()
	if b.plain != nil {
		err = b.plain(ctx)
	} else {
		*j, err = b.guarded(ctx, w.n)
	}
	returned = true
	return err
}

// call is a call that did not go through at once. It is large: its parts are
// written where they stay, and handed on by their address.
type call struct {
	work

	m        *Manager
	op       Op
	p        *policy
	at       time.Duration // the clock, as of the last thing that took time
	took     time.Duration // by the last attempt
	tried    time.Duration // when the last attempt that failed ended
	free     int           // attempts that cost nothing: the database was down, and the call parked
	last     error         // of the last attempt
	timedOut bool          // the last attempt ran out of Policy.AttemptTimeout
	inner    bool          // last is an error of this Manager: an inner call gave up
	stopping bool          // last tells that the caller's context ended
	verdict  pgerr.Verdict
}

// work is what has to be known of an attempt in case that it panics.
type work struct {
	o      *operation
	permit permit        // until it is reported
	start  time.Duration // of the call
	began  time.Duration // of the attempt
	parked time.Duration
	n      int    // of the attempt; 0 before the first
	id     string // the correlation ID, made when first needed
}

// take returns the permits of the attempt, for who reports to them.
func (w *work) take() (database, operation breaker.Permit) {
	database, operation = w.permit.database, w.permit.operation
	w.permit = permit{}
	return database, operation
}

// runSlowly runs a call whose first attempt is not a plain one.
func (c *call) runSlowly(ctx context.Context, b body, refused *gate) error {
	if refused != nil && c.p.Park <= 0 && !c.covered(ctx, refused) && !c.m.closing.Load() {
		// The cheapest thing that a Manager does: no clock is read for a refusal.
		return c.refuse(ctx, refused)
	}
	c.start = c.m.now()
	c.at = c.start
	if c.m.closing.Load() {
		c.permit.ignore()
		return c.stopped(ctx, ErrClosed)
	}
	if refused != nil {
		if err := c.admit(ctx); err != nil {
			return err
		}
	}
	c.m.slow.calls.Add(1)
	var j Judgement
	c.attempt(ctx, b, &j)
	if c.last == nil {
		return c.succeed(ctx)
	}
	return c.repeat(ctx, b, &j)
}

// attempt runs the work once, under the context that the policy asks for.
func (c *call) attempt(ctx context.Context, b body, j *Judgement) {
	c.n++
	own := ctx
	if c.permit.limited {
		held := new(outer)
		defer held.ended.Store(true)
		own = c.cover(own, held)
	}
	if c.p.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		own, cancel = context.WithTimeout(own, c.p.AttemptTimeout)
		defer cancel()
	}
	c.began = c.at
	c.last = c.m.attempt(own, b, j, c.op.Name, &c.work)
	c.at = c.m.now()
	c.took = c.at - c.began
	c.timedOut = c.p.AttemptTimeout > 0 && c.last != nil && own.Err() != nil && ctx.Err() == nil
}

// repeat takes a failed attempt and goes on until the call succeeds or there
// is a reason to give up.
func (c *call) repeat(ctx context.Context, b body, j *Judgement) error {
	defer func() { c.permit.ignore() }() // if code of the error's, a Classify or a hook panics
	for {
		after := c.judge(ctx, j)
		c.evidence(ctx)
		c.failed(ctx)
		reason := c.may(ctx, j)
		if reason == reasonNone {
			reason = c.wait(ctx, after)
		}
		if reason != reasonNone {
			return c.giveUp(ctx, reason, j)
		}
		if err := c.admit(ctx); err != nil {
			return err
		}
		c.o.stats.troubled().repeat(c.n + 1)
		c.attempt(c.again(ctx), b, j)
		if c.last == nil {
			return c.succeed(ctx)
		}
	}
}

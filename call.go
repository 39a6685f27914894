package perdure

import (
	"context"
	"errors"
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
	permit, refused := m.admit(o)
	if refused != nil || p.AttemptTimeout > 0 || permit.limited || m.closing.Load() {
		c := call{m: m, op: *op, o: o, p: p}
		return c.runSlowly(ctx, b, permit, refused)
	}
	start := m.now()
	j, err := attempt(ctx, b, 1, o, permit)
	took := m.now() - start
	if err != nil {
		m.slow.calls.Add(1)
		c := call{m: m, op: *op, o: o, p: p, start: start, at: start + took, attempts: 1}
		return c.repeat(ctx, b, permit, j, err, took, false)
	}
	permit.success(took)
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
func attempt(ctx context.Context, b body, n int, o *operation, permit permit) (j Judgement, err error) {
	returned := false
	defer func() {
		if !returned {
			o.panicked(permit)
		}
	}()
	if b.plain != nil {
		err = b.plain(ctx)
	} else {
		j, err = b.guarded(ctx, n)
	}
	returned = true
	return j, err
}

func (o *operation) panicked(p permit) {
	p.database.Ignore()
	p.operation.Failure(0)
	o.stats.troubled().panics.Add(1)
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
}

// runSlowly runs a call whose first attempt is not a plain one.
func (c *call) runSlowly(ctx context.Context, b body, permit permit, refused *gate) error {
	if c.m.closing.Load() {
		permit.ignore()
		return ErrClosed
	}
	if refused != nil && c.p.Park <= 0 && !c.m.holdsPermit(ctx) {
		// The cheapest thing that a Manager does: no clock is read for a refusal.
		return c.refuse(ctx, refused)
	}
	c.start = c.m.now()
	c.at = c.start
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
	if c.attempts > 1 {
		own = c.again(ctx)
	}
	if permit.limited {
		held := new(outer)
		defer held.ended.Store(true)
		own = context.WithValue(own, permitKey{c.m}, held)
	}
	if c.p.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		own, cancel = context.WithTimeout(own, c.p.AttemptTimeout)
		defer cancel()
	}
	start := c.at
	j, err = attempt(own, b, c.attempts, c.o, permit)
	c.at = c.m.now()
	return j, err, c.at - start, err != nil && own.Err() != nil && ctx.Err() == nil
}

// repeat takes a failed attempt and goes on until the call succeeds or there
// is a reason to give up.
func (c *call) repeat(ctx context.Context, b body, permit permit, j Judgement, err error, took time.Duration, timedOut bool) error {
	for {
		after := c.judge(ctx, j, err, took, timedOut)
		c.evidence(ctx, permit, took)
		c.failed(ctx, took)
		reason := c.may(ctx, j)
		if reason == reasonNone {
			reason = c.wait(ctx, after)
		}
		if reason != reasonNone {
			return c.giveUp(ctx, reason, j)
		}
		if permit, err = c.admit(ctx); err != nil {
			return err
		}
		c.o.stats.troubled().repeat(c.attempts + 1)
		j, err, took, timedOut = c.attempt(ctx, b, permit)
		if err == nil {
			return c.succeed(ctx, permit, took)
		}
	}
}

// judge finds the verdict of the error, and how long its maker wants to wait.
func (c *call) judge(ctx context.Context, j Judgement, err error, took time.Duration, timedOut bool) (after time.Duration) {
	v := j.Verdict
	if v == (pgerr.Verdict{}) {
		v = c.m.Classify(err)
	}
	if mark := markOf(err); mark != nil {
		after = mark.after
	}
	c.inner, c.stopping = false, false
	inner := c.m.own(err)
	c.adopt(j, inner)
	if inner != nil {
		// The innermost guard has repeated and reported: nothing is left to do.
		c.inner = true
		v = inner.Verdict
		v.Retry, v.Trips = pgerr.RetryNever, pgerr.ScopeNone
	} else if ended := ctx.Err(); ended != nil && interrupted(v, err, ended) {
		c.stopping = true
		v = c.interruption(v, ended, took)
	} else if timedOut && interrupted(v, err, context.DeadlineExceeded) {
		v.Category, v.Severity, v.Retry, v.Trips = pgerr.CategoryTimeout, pgerr.SeverityMedium, pgerr.RetryStatement, pgerr.ScopeOperation
	}
	c.last, c.verdict = err, v
	return after
}

// own returns the error of m that err is or wraps, or nil. What other Managers
// made of it on the way does not matter.
func (m *Manager) own(err error) *Error {
	for err != nil {
		if e, ok := err.(*Error); ok && e.manager == m { //nolint:errorlint // this is the unwrapping loop
			return e
		}
		switch w := err.(type) { //nolint:errorlint // this is the unwrapping loop
		case interface{ Unwrap() error }:
			err = w.Unwrap()
		case interface{ Unwrap() []error }:
			for _, part := range w.Unwrap() {
				if e := m.own(part); e != nil {
					return e
				}
			}
			return nil
		default:
			return nil
		}
	}
	return nil
}

// wraps reports whether err has others inside, as the errors of this package
// do. A driver's bare error, the commonest, is spared two walks.
func wraps(err error) bool {
	switch err.(type) { //nolint:errorlint // only the error itself
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		return true
	}
	return false
}

// interrupted reports whether the end of a context is what the verdict tells
// of. A cancel may look like anything but an answer of the server, for drivers
// hang up. A deadline is a timeout or a cancelled statement; a connection that
// could not be had in time stays evidence for the database.
func interrupted(v pgerr.Verdict, err, ended error) bool {
	switch {
	case v.SQLState != "":
		return v.SQLState == sqlStateQueryCanceled
	case errors.Is(ended, context.Canceled):
		return true
	case v.Category == pgerr.CategoryUnknown:
		return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	}
	return v.Category == pgerr.CategoryTimeout || v.Category == pgerr.CategoryCanceled
}

const sqlStateQueryCanceled = "57014"

// interruption is the verdict when the caller's own context ended during the
// attempt. A cancelled call says nothing about anybody. A deadline says that
// the operation is slow, if it left the attempt the time that it usually takes.
func (c *call) interruption(v pgerr.Verdict, ended error, took time.Duration) pgerr.Verdict {
	v.Category, v.Severity = pgerr.CategoryCanceled, pgerr.SeverityLow
	v.Retry, v.Trips = pgerr.RetryNever, pgerr.ScopeNone
	if errors.Is(ended, context.DeadlineExceeded) {
		v.Category, v.Severity = pgerr.CategoryTimeout, pgerr.SeverityMedium
		if usual, n := c.o.stats.first.quantile(usualQuantile); n < usualCount || took >= usual {
			v.Trips = pgerr.ScopeOperation
		}
	}
	return v
}

// evidence reports the attempt to the breakers: to the one that the verdict
// names as a failure. For the other one, an answer of the server is a success,
// and anything else says nothing.
func (c *call) evidence(ctx context.Context, p permit, took time.Duration) {
	if c.inner { // whoever gave up inside has reported it
		p.ignore()
		return
	}
	if c.verdict.Trips == pgerr.ScopeDatabase && c.m.InTransaction(ctx) { // the transaction will report it
		p.ignore()
		return
	}
	answered := c.verdict.SQLState != "" && c.verdict.Category != pgerr.CategoryCanceled
	switch c.verdict.Trips {
	case pgerr.ScopeDatabase:
		p.database.Failure(took)
		p.operation.Ignore()
	case pgerr.ScopeOperation:
		p.operation.Failure(took)
		c.m.answer(p.database, answered, took)
	case pgerr.ScopeNone:
		c.m.answer(p.database, answered, took)
		if answered {
			p.operation.Success(took)
		} else {
			p.operation.Ignore()
		}
	}
}

// answer reports a failed attempt to the database's breaker: as a success if
// the server answered.
func (m *Manager) answer(p breaker.Permit, answered bool, took time.Duration) {
	if !answered {
		p.Ignore()
		return
	}
	m.slow.answers.Add(1)
	p.Success(took)
}

// may reports why the failed work must not be repeated; reasonNone if it may.
func (c *call) may(ctx context.Context, j Judgement) Reason {
	v := c.verdict
	switch {
	case j.Reason != reasonNone:
		return j.Reason
	case c.stopping:
		return ReasonCanceled
	case v.Retry == pgerr.RetryNever && !c.provenIdempotent(v), j.Repeat == RepeatNever, !c.p.allows(v.Category):
		return ReasonNotRetryable
	case c.m.InTransaction(ctx):
		return ReasonNotRetryable // untouched: the transaction is repeated as a whole
	case ctx.Err() != nil, c.m.closing.Load():
		return ReasonCanceled
	case j.Repeat != RepeatSafe && !c.op.repeatable():
		return ReasonNotIdempotent
	}
	return reasonNone
}

// provenIdempotent: "the server itself does not know" (40003, 08007) forbids a
// repeat only to work that must not happen twice.
func (c *call) provenIdempotent(v pgerr.Verdict) bool {
	return c.op.repeatable() && v.Effect == pgerr.EffectUnknown &&
		(v.SQLState == "40003" || v.SQLState == "08007")
}

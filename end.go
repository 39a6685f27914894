package perdure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/pgerr"
)

// The quantile and the number of successes behind "what an operation usually
// takes".
const (
	usualQuantile = 0.99
	usualCount    = 20
)

// succeed ends a call that did not go through at once.
func (c *call) succeed(ctx context.Context) error {
	c.m.slow.successes.Add(1)
	database, operation := c.take()
	c.m.answer(database, true, c.took)
	operation.Success(c.took)
	elapsed := c.at - c.start
	if c.id == "" {
		c.id = CorrelationID(ctx)
	}
	if c.n == 1 && c.parked == 0 {
		c.o.stats.first.add(c.took)
	} else {
		c.o.stats.troubled().success(c.at, elapsed, c.took, c.n)
	}
	h := c.m.hooks.Load()
	if h.AttemptEnd != nil {
		h.AttemptEnd(ctx, AttemptEvent{Op: c.op.Name, Attempt: c.n, Duration: c.took, CorrelationID: c.id})
	}
	if h.CallEnd != nil {
		h.CallEnd(ctx, CallEvent{
			Op: c.op.Name, Attempts: c.n, Elapsed: elapsed, Parked: c.parked, CorrelationID: c.id,
		})
	}
	return nil
}

// failed counts an attempt that failed, and tells of it.
func (c *call) failed(ctx context.Context) {
	c.tried = c.at
	c.o.stats.troubled().failure(&c.verdict, c.took)
	if h := c.m.hooks.Load().AttemptEnd; h != nil {
		h(ctx, AttemptEvent{
			Op: c.op.Name, Attempt: c.n, Duration: c.took, Err: c.last, Verdict: c.verdict, CorrelationID: c.correlation(ctx),
		})
	}
}

// end is how a call gives up.
type end struct {
	reason  Reason
	hint    string
	retryAt time.Time
	cause   error
}

// giveUp ends a call after an attempt that failed. A permanent error of the
// first attempt comes back untouched, and so does one that says by itself that
// the caller's context ended.
func (c *call) giveUp(ctx context.Context, reason Reason, j *Judgement) error {
	e := end{reason: reason, hint: j.Hint}
	switch reason { //nolint:exhaustive // the rest needs nothing more
	case ReasonNotRetryable:
		if c.n == 1 && j.Reason == reasonNone {
			return c.untouched(ctx)
		}
	case ReasonCanceled:
		e.cause = ErrClosed
		if ctx.Err() != nil {
			e.cause = context.Cause(ctx)
		}
		if c.n == 1 && errors.Is(c.last, e.cause) {
			return c.untouched(ctx)
		}
	case ReasonDeadline:
		e.cause = context.DeadlineExceeded
		e.hint = hint(e.hint, "no further attempt fits before the deadline of the context")
	case ReasonBudget:
		e.cause = ErrBudgetSpent
		e.retryAt = c.m.epoch.Add(c.at + time.Second)
		e.hint = hint(e.hint, "too much fails for repeats to help; look at the first errors")
	case ReasonOutcomeUnknown:
		e.cause = ErrOutcomeUnknown
		e.hint = hint(e.hint, "look whether the work is there before doing it again")
	case ReasonNotIdempotent:
		e.hint = hint(e.hint, notIdempotentHint(&c.verdict))
	case ReasonExhausted, ReasonElapsed:
		e.retryAt = c.m.epoch.Add(c.at + c.p.delays(&c.verdict).Ceiling(c.n))
	}
	return c.fail(ctx, &e)
}

func hint(own, general string) string {
	if own != "" {
		return own
	}
	return general
}

func notIdempotentHint(v *pgerr.Verdict) string {
	if v.Effect == pgerr.EffectUnknown {
		return "it may have taken effect: set Op.Idempotent if doing it twice is harmless, or run it with InTx or Once"
	}
	return "set Op.Idempotent or Op.ReadOnly if doing it twice is harmless, or run it with InTx or Once"
}

// untouched ends the call with its error as it is.
func (c *call) untouched(ctx context.Context) error {
	c.ended(ctx, c.last, reasonNone)
	return c.last
}

// fail ends the call with the error that e tells of.
func (c *call) fail(ctx context.Context, e *end) error {
	err := &Error{
		Op:            c.op.Name,
		Attempts:      c.n,
		Elapsed:       c.at - c.start,
		Reason:        e.reason,
		Verdict:       c.verdict,
		Hint:          e.hint,
		RetryAt:       e.retryAt,
		CorrelationID: c.correlation(ctx),
		Err:           c.last,
		manager:       c.m,
		cause:         e.cause,
	}
	if err.Err == nil {
		err.Err, err.cause = err.cause, nil
	}
	c.ended(ctx, err, e.reason)
	return err
}

// ended counts a call that failed, and tells of it.
func (c *call) ended(ctx context.Context, err error, reason Reason) {
	elapsed := c.at - c.start
	c.o.stats.troubled().end(c.at, elapsed, c.n, reason)
	if h := c.m.hooks.Load().CallEnd; h != nil {
		h(ctx, CallEvent{
			Op: c.op.Name, Attempts: c.n, Elapsed: elapsed, Parked: c.parked,
			Reason: reason, Err: err, Verdict: c.verdict, CorrelationID: c.correlation(ctx),
		})
	}
}

// correlation returns the call's correlation ID, made when first needed.
func (c *call) correlation(ctx context.Context) string {
	if c.id == "" {
		c.id = c.m.correlationID(ctx)
	}
	return c.id
}

// Classify returns the verdict of err: by Config.Classify, by the marks of
// Transient and RetryAfter, then by package pgerr.
func (m *Manager) Classify(err error) pgerr.Verdict {
	var mark *marked
	if err != nil && wraps(err) {
		mark = markOf(err)
	}
	var v pgerr.Verdict
	m.classify(&v, err, mark)
	return v
}

// classify makes v the verdict of err, on which fn put mark.
func (m *Manager) classify(v *pgerr.Verdict, err error, mark *marked) {
	if m.cfg.Classify != nil {
		var ok bool
		if *v, ok = m.cfg.Classify(err); ok {
			return
		}
	}
	if mark != nil {
		*v = pgerr.Verdict{
			Category: pgerr.CategoryTransient,
			Severity: pgerr.SeverityLow,
			Retry:    pgerr.RetryStatement,
			Effect:   pgerr.EffectUnknown,
			Trips:    pgerr.ScopeOperation,
		}
		return
	}
	// Field by field: a copy as a whole would wait until the bytes, which have just been written one by one, are in the cache.
	r := pgerr.Classify(err)
	v.SQLState, v.Category, v.Severity, v.Retry, v.Effect, v.Trips = r.SQLState, r.Category, r.Severity, r.Retry, r.Effect, r.Trips
}

// markOf returns the mark that fn put on err, or nil.
func markOf(err error) *marked {
	mark, _ := errors.AsType[*marked](err)
	return mark
}

// String describes the Manager for a log line.
func (m *Manager) String() string {
	return fmt.Sprintf("perdure manager %s: database %s", m.cfg.Name, m.database.breaker.State())
}

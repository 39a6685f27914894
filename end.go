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
func (c *call) succeed(ctx context.Context, p permit, took time.Duration) error {
	c.m.slow.successes.Add(1)
	c.m.answer(p.database, true, took)
	p.operation.Success(took)
	elapsed := c.at - c.start
	if c.id == "" {
		c.id = CorrelationID(ctx)
	}
	if c.attempts == 1 && c.parked == 0 {
		c.o.stats.first.add(took)
	} else {
		t := c.o.stats.troubled()
		t.attempts.add(took)
		t.end(c.at, elapsed, c.attempts, true, reasonNone)
	}
	h := c.m.hooks.Load()
	if h.AttemptEnd != nil {
		h.AttemptEnd(ctx, AttemptEvent{Op: c.op.Name, Attempt: c.attempts, Duration: took, CorrelationID: c.id})
	}
	if h.CallEnd != nil {
		h.CallEnd(ctx, CallEvent{
			Op: c.op.Name, Attempts: c.attempts, Elapsed: elapsed, Parked: c.parked, CorrelationID: c.id,
		})
	}
	return nil
}

// failed counts an attempt that failed, and tells of it.
func (c *call) failed(ctx context.Context, took time.Duration) {
	c.tried = c.at
	c.o.stats.troubled().failure(c.verdict, took)
	if h := c.m.hooks.Load().AttemptEnd; h != nil {
		h(ctx, AttemptEvent{
			Op: c.op.Name, Attempt: c.attempts, Duration: took, Err: c.last, Verdict: c.verdict, CorrelationID: c.correlation(ctx),
		})
	}
}

// giveUp ends a call after an attempt that failed. A permanent error of the
// first attempt comes back untouched, and so does one that says by itself that
// the caller's context ended.
func (c *call) giveUp(ctx context.Context, reason Reason, j Judgement) error {
	e := &Error{Reason: reason, Hint: j.Hint}
	switch reason { //nolint:exhaustive // the rest needs nothing more
	case ReasonNotRetryable:
		if c.attempts == 1 && j.Reason == reasonNone {
			return c.untouched(ctx)
		}
	case ReasonCanceled:
		e.cause = ErrClosed
		if ctx.Err() != nil {
			e.cause = context.Cause(ctx)
		}
		if c.attempts == 1 && errors.Is(c.last, e.cause) {
			return c.untouched(ctx)
		}
	case ReasonDeadline:
		e.cause = context.DeadlineExceeded
		e.Hint = hint(e.Hint, "no further attempt fits before the deadline of the context")
	case ReasonBudget:
		e.cause = ErrBudgetSpent
		e.RetryAt = c.m.epoch.Add(c.at + time.Second)
		e.Hint = hint(e.Hint, "too much fails for repeats to help; look at the first errors")
	case ReasonOutcomeUnknown:
		e.cause = ErrOutcomeUnknown
		e.Hint = hint(e.Hint, "look whether the work is there before doing it again")
	case ReasonNotIdempotent:
		e.Hint = hint(e.Hint, notIdempotentHint(c.verdict))
	case ReasonExhausted, ReasonElapsed:
		e.RetryAt = c.m.epoch.Add(c.at + c.p.delays(c.verdict).Ceiling(c.attempts))
	}
	return c.fail(ctx, e)
}

func hint(own, general string) string {
	if own != "" {
		return own
	}
	return general
}

func notIdempotentHint(v pgerr.Verdict) string {
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

// fail ends the call with e, which it completes.
func (c *call) fail(ctx context.Context, e *Error) error {
	e.Op = c.op.Name
	e.Attempts = c.attempts
	e.Elapsed = c.at - c.start
	e.Verdict = c.verdict
	e.CorrelationID = c.correlation(ctx)
	e.Err = c.last
	e.manager = c.m
	if e.Err == nil {
		e.Err, e.cause = e.cause, nil
	}
	c.ended(ctx, e, e.Reason)
	return e
}

// ended counts a call that failed, and tells of it.
func (c *call) ended(ctx context.Context, err error, reason Reason) {
	elapsed := c.at - c.start
	c.o.stats.troubled().end(c.at, elapsed, c.attempts, false, reason)
	if h := c.m.hooks.Load().CallEnd; h != nil {
		h(ctx, CallEvent{
			Op: c.op.Name, Attempts: c.attempts, Elapsed: elapsed, Parked: c.parked,
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
	if err != nil && wraps(err) {
		return m.classify(err, markOf(err))
	}
	return m.classify(err, nil)
}

func (m *Manager) classify(err error, mark *marked) pgerr.Verdict {
	if m.cfg.Classify != nil {
		if v, ok := m.cfg.Classify(err); ok {
			return v
		}
	}
	if mark != nil {
		return pgerr.Verdict{
			Category: pgerr.CategoryTransient,
			Severity: pgerr.SeverityLow,
			Retry:    pgerr.RetryStatement,
			Effect:   pgerr.EffectUnknown,
			Trips:    pgerr.ScopeOperation,
		}
	}
	return pgerr.Classify(err)
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

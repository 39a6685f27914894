package perdure

import (
	"context"
	"errors"
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// judge finds the verdict of the error, and how long its maker wants to wait.
func (c *call) judge(ctx context.Context, j *Judgement) (after time.Duration) {
	err, v := c.last, &c.verdict
	var inner *Error
	var mark *marked
	if wraps(err) {
		inner, mark = c.m.own(err), markOf(err)
	}
	if j.Verdict != (pgerr.Verdict{}) {
		*v = j.Verdict
	} else {
		c.m.classify(v, err, mark)
	}
	if mark != nil {
		after = mark.after
	}
	c.inner, c.stopping = false, false
	c.adopt(j, inner)
	if inner != nil {
		// The innermost guard has repeated and reported: nothing is left to do.
		c.inner = true
		*v = inner.Verdict
		v.Retry, v.Trips = pgerr.RetryNever, pgerr.ScopeNone
	} else if ended := ctx.Err(); ended != nil && interrupted(v, err, ended) {
		c.stopping = true
		c.interruption(v, ended)
	} else if c.timedOut && interrupted(v, err, context.DeadlineExceeded) {
		v.Category, v.Severity, v.Retry, v.Trips = pgerr.CategoryTimeout, pgerr.SeverityMedium, pgerr.RetryStatement, pgerr.ScopeOperation
	}
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
func interrupted(v *pgerr.Verdict, err, ended error) bool {
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

// interruption makes v the verdict when the caller's own context ended during
// the attempt. A cancelled call says nothing about anybody. A deadline says that
// the operation is slow, if it left the attempt the time that it usually takes.
func (c *call) interruption(v *pgerr.Verdict, ended error) {
	v.Category, v.Severity = pgerr.CategoryCanceled, pgerr.SeverityLow
	v.Retry, v.Trips = pgerr.RetryNever, pgerr.ScopeNone
	if errors.Is(ended, context.DeadlineExceeded) {
		v.Category, v.Severity = pgerr.CategoryTimeout, pgerr.SeverityMedium
		if usual, n := c.o.stats.first.quantile(usualQuantile); n < usualCount || c.took >= usual {
			v.Trips = pgerr.ScopeOperation
		}
	}
}

// evidence reports the attempt to the breakers: to the one that the verdict
// names as a failure. For the other one, an answer of the server is a success,
// and anything else says nothing.
func (c *call) evidence(ctx context.Context) {
	database, operation := c.take()
	if c.inner || // whoever gave up inside has reported it
		c.verdict.Trips == pgerr.ScopeDatabase && c.m.InTransaction(ctx) { // the transaction will report it
		database.Ignore()
		operation.Ignore()
		return
	}
	answered := c.verdict.SQLState != "" && c.verdict.Category != pgerr.CategoryCanceled
	switch c.verdict.Trips {
	case pgerr.ScopeDatabase:
		database.Failure(c.took)
		operation.Ignore()
	case pgerr.ScopeOperation:
		operation.Failure(c.took)
		c.m.answer(database, answered, c.took)
	case pgerr.ScopeNone:
		c.m.answer(database, answered, c.took)
		if answered {
			operation.Success(c.took)
		} else {
			operation.Ignore()
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
	if p.Success(took) {
		m.slow.answers.Add(1)
	}
}

// may reports why the failed work must not be repeated; reasonNone if it may.
func (c *call) may(ctx context.Context, j *Judgement) Reason {
	v := &c.verdict
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
func (c *call) provenIdempotent(v *pgerr.Verdict) bool {
	return c.op.repeatable() && v.Effect == pgerr.EffectUnknown &&
		(v.SQLState == "40003" || v.SQLState == "08007")
}

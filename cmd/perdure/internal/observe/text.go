package observe

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// text is the sentence of an event.
func (r *record) text() string {
	switch r.key.kind {
	case KindBreaker:
		return changeText(r.key.op, r.change, r.waited)
	case KindBudget:
		if r.key.waits {
			return r.calls("waits", "wait") + " until the retry budget can pay for a repeat."
		}
		return "Retry budget spent: " + lower(r.calls("was", "were")) + " not repeated."
	case KindCommit:
		return r.commit()
	case KindParked:
		return r.calls("waits", "began to wait") + " for " + r.waitsFor() + "."
	case KindReleased:
		return r.calls("goes on", "go on") + " after waiting " + r.upTo() + " for " + r.waitsFor() + "."
	case KindGiveUp:
		return r.gaveUp()
	case KindRun:
		return r.run.text()
	case KindStep:
		return r.run.steps(r.count)
	}
	return ""
}

// calls is "A call waits", or "1,204 calls wait", of several operations if it is so.
func (r *record) calls(one, many string) string {
	if r.count == 1 {
		return "A call " + one
	}
	s := Thousands(r.count) + " calls "
	if r.operations > 1 {
		s += "of " + strconv.Itoa(r.operations) + " operations "
	}
	return s + many
}

func lower(s string) string { return strings.Replace(s, "A call", "a call", 1) }

func (r *record) waitsFor() string {
	switch r.key.detail {
	case databaseName:
		return "the database"
	case "budget":
		return "the retry budget"
	case "room":
		return "room on the server or in the pool"
	}
	return "the breaker of " + r.key.detail
}

func (r *record) upTo() string {
	if r.count > 1 {
		return "up to " + Duration(r.waited)
	}
	return Duration(r.waited)
}

func (r *record) commit() string {
	n, by := Thousands(r.count)+" commits", ""
	if r.key.detail != "" {
		by = " (by its " + r.key.detail + ")"
	}
	one := r.count == 1
	if !one {
		by = strings.Replace(by, "its", "their", 1)
	}
	switch r.key.resolution {
	case perdure.Committed:
		if one {
			return "A commit lost its reply and is proven committed" + by + "."
		}
		return n + " lost their replies and are proven committed" + by + "."
	case perdure.Aborted:
		if one {
			return "A commit lost its reply and is proven not committed" + by + ": its work may be done again."
		}
		return n + " lost their replies and are proven not committed" + by + ": their work may be done again."
	case perdure.Remembered:
		if one {
			return "Work was found done already, and not done twice."
		}
		return "Work was found done already " + Thousands(r.count) + " times, and not done twice."
	case perdure.Undecided, perdure.Run:
	}
	if one {
		return "It cannot be known whether a commit happened" + by + ". Look whether its work is there before doing it again."
	}
	return "It cannot be known whether " + n + " happened" + by + ". Look whether their work is there before doing it again."
}

func (r *record) gaveUp() string {
	if r.key.reason == perdure.ReasonBreakerOpen {
		return r.calls("was", "were") + " refused: a breaker is open."
	}
	s := r.calls("failed: ", "failed: ") + ReasonText(r.key.reason)
	if c := Condition(r.key.category, r.key.detail); c != "" {
		s += " (" + c + ")"
	}
	return s + "."
}

// ReasonText says in words why a Manager gave up.
func ReasonText(r perdure.Reason) string {
	switch r {
	case perdure.ReasonExhausted:
		return "all attempts failed"
	case perdure.ReasonElapsed:
		return "the time for repeats ran out"
	case perdure.ReasonDeadline:
		return "no repeat fitted before the caller's deadline"
	case perdure.ReasonBudget:
		return "the retry budget could not pay for a repeat"
	case perdure.ReasonBreakerOpen:
		return "a breaker is open"
	case perdure.ReasonNotRetryable:
		return "a repeat met an error that none can help"
	case perdure.ReasonNotIdempotent:
		return "not repeated, for its operation is not declared idempotent"
	case perdure.ReasonOutcomeUnknown:
		return "it cannot be known whether its work was committed"
	case perdure.ReasonCanceled:
		return "the caller stopped waiting"
	case perdure.ReasonPanicked:
		return "its code panicked"
	}
	return "its error came back as it was"
}

// Condition names an error by what may be shown of it: the name of its
// condition and its SQLSTATE, else its category in words; "" for none.
func Condition(c pgerr.Category, state string) string {
	if state != "" {
		if e, ok := pgerr.Lookup(state); ok {
			return e.Condition + ", " + state
		}
		return "SQLSTATE " + state
	}
	switch c { //nolint:exhaustive // the rest is named by its own name
	case pgerr.CategoryUnknown:
		return ""
	case pgerr.CategoryConnection:
		return "no connection"
	case pgerr.CategoryTimeout:
		return "no answer in time"
	}
	return c.String()
}

// changeText says what a change of a breaker means; away is how long it had not
// been closed.
func changeText(op string, c *breaker.Change, away time.Duration) string {
	database := op == databaseName
	switch {
	case c.Held == breaker.HeldOpen:
		return "A person holds the breaker open" + said(c.Reason) + ". No call passes until it is released."
	case c.Held == breaker.HeldClosed:
		return "A person holds the breaker closed" + said(c.Reason) + ". Every call passes, whatever fails."
	case c.Reason == breaker.ReasonReleased && c.To == breaker.Open:
		return "The hold is released: a probe decides whether calls pass."
	case c.Reason == breaker.ReasonReleased:
		return "The hold is released: the breaker decides again."
	case c.To == breaker.Open && c.From == breaker.HalfOpen:
		return "Not well yet (" + c.Reason + "): the breaker is open again."
	case c.To == breaker.Open && database:
		return "The database does not answer (" + cause(c) + "): its breaker is open."
	case c.To == breaker.Open:
		return "Too many calls fail (" + cause(c) + "): its breaker is open."
	case c.To == breaker.HalfOpen && database:
		return "The database answers: a few calls are let through to try."
	case c.To == breaker.HalfOpen:
		return "A few calls are let through to try."
	case away > 0:
		return "Well again after " + Duration(away) + ": calls pass."
	}
	return "Well again: calls pass."
}

func said(reason string) string {
	if reason == "" {
		return ""
	}
	return ": “" + reason + "”"
}

// cause is the evidence in words, or the reason.
func cause(c *breaker.Change) string {
	ev := c.Evidence
	switch {
	case ev.Threshold == 0:
		return c.Reason
	case ev.Slow:
		return fmt.Sprintf("%.0f %% of calls are slow, limit %.0f %%", 100*ev.Score, 100*ev.Threshold)
	}
	switch ev.Rule {
	case breaker.Consecutive:
		return fmt.Sprintf("%.0f failures in a row", ev.Score)
	case breaker.Rate:
		return fmt.Sprintf("%.0f %% fail, limit %.0f %%", 100*ev.Score, 100*ev.Threshold)
	case breaker.Adaptive, breaker.Off:
	}
	return fmt.Sprintf("evidence %.1f of %.1f, healthy failure rate %.2g %%", ev.Score, ev.Threshold, 100*ev.Baseline)
}

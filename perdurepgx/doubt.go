package perdurepgx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pgerr"
	"github.com/perdure/perdure/redact"
)

// doubt is a COMMIT whose reply is lost, and what was noted to resolve it.
type doubt struct {
	id      uuid        // of the attempt, if it has a marker
	xid     uint64      // zero if not known
	inc     incarnation // in which xid was given
	backend backend     // that ran it, if it is known
	sent    time.Time
	written int64 // bytes of the COMMIT that were written
	err     error // what the driver said; nil while there is no doubt
}

// answer is what became of a doubt.
type answer struct {
	resolution perdure.Resolution
	evidence   string
	hint       string
}

// outcomeError is the error of a commit of which neither can be proven.
type outcomeError struct {
	evidence string
	err      error
}

func (e *outcomeError) Error() string { return e.Describe(error.Error) }

// Describe makes it a redact.Describer: the evidence holds no data.
func (e *outcomeError) Describe(text func(error) string) string {
	return perdure.ErrOutcomeUnknown.Error() + ": " + e.evidence + ": " + text(e.err)
}

func (e *outcomeError) Unwrap() []error { return []error{perdure.ErrOutcomeUnknown, e.err} }

// abortedCommitError is the error of a commit that was lost and is proven to
// be rolled back.
type abortedCommitError struct{ err error }

func (e *abortedCommitError) Error() string { return e.Describe(error.Error) }
func (e *abortedCommitError) Unwrap() error { return e.err }

// Describe makes it a redact.Describer.
func (e *abortedCommitError) Describe(text func(error) string) string {
	return "commit lost, transaction rolled back: " + text(e.err)
}

// resolve finds out what became of the attempt's COMMIT. It outlives ctx.
func (a *attempt) resolve(ctx context.Context) (perdure.Judgement, error) {
	db := a.db
	db.m.Suspect("the reply to a commit was lost")
	v, err := db.lost(ctx, a.w, a.doubt.err)
	if v.Retry == pgerr.RetryNever || v.SQLState != "" && v.Category == pgerr.CategoryCanceled {
		v = lostVerdict()
	}
	method := Token
	if a.once != nil || a.method == Marker {
		method = Marker
	}
	began := time.Now()
	ans := db.resolver.resolve(ctx, &question{doubt: a.doubt, method: method})
	event := perdure.OutcomeEvent{
		Op: a.op.Name, Resolution: ans.resolution, Method: method.String(), Evidence: ans.evidence, Took: time.Since(began),
	}
	if a.once != nil {
		event.Key = a.once.key
	}
	id := db.m.CommitOutcome(ctx, event)
	switch ans.resolution { //nolint:exhaustive // a resolver answers no other
	case perdure.Committed:
		return perdure.Judgement{}, nil
	case perdure.Aborted:
		j := safe(v)
		j.CorrelationID = id
		return j, &abortedCommitError{err: err}
	}
	return perdure.Judgement{
		Verdict: v, Repeat: perdure.RepeatNever, Reason: perdure.ReasonOutcomeUnknown, Hint: ans.hint, CorrelationID: id,
	}, &outcomeError{evidence: ans.evidence, err: err}
}

// unknown is the answer when time ran out; why is what stood in the way last.
func unknown(limit time.Duration, why error) answer {
	evidence := fmt.Sprintf("not resolved within %v", limit)
	if why != nil {
		evidence += ": " + redact.Error(why) // it is told to hooks
	}
	a := answer{resolution: perdure.Undecided, evidence: evidence}
	if hinted, ok := errors.AsType[*hintError](why); ok {
		a.hint = hinted.hint
	}
	return a
}

// hintError is an error that a person can cure.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

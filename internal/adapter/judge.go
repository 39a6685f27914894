// Package adapter holds what perdurepgx and perduresql share: what they judge of
// a failed attempt, whatever the driver.
package adapter

import (
	"context"
	"errors"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pgerr"
)

// Verdict returns what err means: by the Manager (the program's own
// classification and marks first), refined by the fields of the server's error
// that its SQLSTATE does not tell. Known is false if there are none.
func Verdict(m *perdure.Manager, err error, f pgerr.Fields, known bool) pgerr.Verdict {
	v := m.Classify(err)
	if v != pgerr.Classify(err) {
		return v // the program, or a mark, has decided
	}
	if known && f.SQLState == v.SQLState && !IsNotice(f.Severity) {
		refined := pgerr.ClassifyFields(f)
		if v.Effect == pgerr.EffectUnknown {
			refined.Effect = pgerr.EffectUnknown
		}
		if v.Category != pgerr.CategoryCanceled {
			return refined
		}
	}
	return v
}

// ConnectVerdict is Verdict for an error met before anything was sent.
func ConnectVerdict(m *perdure.Manager, err error) pgerr.Verdict {
	v := m.Classify(err)
	if v != pgerr.Classify(err) {
		return v
	}
	return pgerr.ClassifyConnect(err)
}

// IsNotice reports whether an unlocalised severity is that of a notice.
func IsNotice(severity string) bool {
	switch severity {
	case "WARNING", "NOTICE", "INFO", "LOG", "DEBUG":
		return true
	}
	return false
}

// LostVerdict is the verdict of a connection that broke, for an error of the
// driver in which that cannot be seen ("conn closed", "bad connection").
func LostVerdict() pgerr.Verdict {
	return pgerr.Verdict{
		Category: pgerr.CategoryConnection, Severity: pgerr.SeverityHigh, Retry: pgerr.RetryReconnect,
		Effect: pgerr.EffectUnknown, Trips: pgerr.ScopeDatabase,
	}
}

// UnreplicatedVerdict is outcome.ErrUnreplicated's. It says nothing about the
// database: a person, or the end of a context, has cancelled the wait.
func UnreplicatedVerdict() pgerr.Verdict {
	v := LostVerdict()
	v.Trips = pgerr.ScopeNone
	return v
}

// ReadOnly judges a write that was refused because its session or transaction
// is read-only. If that was wished for, no repeat helps, and it says nothing
// about the server. If not, the server may have been demoted: the prober finds
// out at once, and drains the pool if it is so.
func ReadOnly(m *perdure.Manager, v pgerr.Verdict, wished bool) pgerr.Verdict {
	switch {
	case v.Category != pgerr.CategoryReadOnly:
	case wished:
		v.Retry, v.Trips = pgerr.RetryNever, pgerr.ScopeNone
	default:
		m.Suspect("a write was refused as read-only")
	}
	return v
}

// Safe is the judgement of an attempt of which nothing remains, whatever the error alone leaves open: a lost
// connection may have taken effect, unless it is proven that it has not. What the server says that it does not
// know is not ours to prove.
func Safe(v pgerr.Verdict) perdure.Judgement {
	if v.SQLState != "40003" && v.SQLState != "08007" {
		v.Effect = pgerr.EffectNone
	}
	return perdure.Judgement{Verdict: v, Repeat: perdure.RepeatSafe}
}

// Never is the judgement of an attempt that must not be repeated.
func Never(hint string) perdure.Judgement {
	return perdure.Judgement{Repeat: perdure.RepeatNever, Hint: hint}
}

// endedError is the error of a statement that was stopped because its context
// ended: the server says 57014, the caller looks for the cause.
type endedError struct {
	err   error
	cause error
}

func (e *endedError) Error() string   { return e.Describe(error.Error) }
func (e *endedError) Unwrap() []error { return []error{e.err, e.cause} }

// Describe makes it a redact.Describer.
func (e *endedError) Describe(text func(error) string) string {
	return text(e.cause) + ": " + text(e.err)
}

// WithCause adds the cause of ctx to err, if ctx has ended and err does not
// hold it.
func WithCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return &endedError{err: err, cause: cause}
}

// Outliving returns the context of a result that is read after its attempt has
// returned. It ends with the attempt's until keep is called, and with the
// caller's; end gives it back.
func Outliving(caller, attempt context.Context) (ctx context.Context, keep, end func()) {
	if caller.Done() == attempt.Done() {
		return attempt, func() {}, func() {}
	}
	ctx, cancel := context.WithCancelCause(caller)
	stop := context.AfterFunc(attempt, func() { cancel(context.Cause(attempt)) })
	return ctx, func() { stop() }, func() {
		stop()
		cancel(nil)
	}
}

package perdurepgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pgerr"
)

// verdict returns what err means: by the Manager (the program's own
// classification and marks first), refined by the fields that a *pgconn.PgError
// has and its SQLSTATE does not tell.
func (db *DB) verdict(err error) pgerr.Verdict {
	v := db.m.Classify(err)
	if v != pgerr.Classify(err) {
		return v // the program, or a mark, has decided
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if ok && e.Code == v.SQLState && !isNotice(e) {
		refined := pgerr.ClassifyFields(pgerr.Fields{
			SQLState: e.Code, Severity: severity(e), Routine: e.Routine, Message: e.Message,
		})
		if v.Effect == pgerr.EffectUnknown {
			refined.Effect = pgerr.EffectUnknown
		}
		if v.Category != pgerr.CategoryCanceled {
			return refined
		}
	}
	return v
}

// connectVerdict is verdict for an error met before anything was sent.
func (db *DB) connectVerdict(err error) pgerr.Verdict {
	v := db.m.Classify(err)
	if v != pgerr.Classify(err) {
		return v
	}
	return pgerr.ClassifyConnect(err)
}

func severity(e *pgconn.PgError) string { return e.SeverityUnlocalized }

func isNotice(e *pgconn.PgError) bool {
	switch severity(e) {
	case "WARNING", "NOTICE", "INFO", "LOG", "DEBUG":
		return true
	}
	return false
}

// refused reports whether e is the server's plain no: the statement or the
// transaction is rolled back and the session lives on. An unlocalised severity
// is there since PostgreSQL 9.6; without it nothing is proven.
func refused(e *pgconn.PgError) bool { return e != nil && severity(e) == "ERROR" }

// lostVerdict is the verdict of a connection that broke, for an error of the
// driver in which that cannot be seen ("conn closed").
func lostVerdict() pgerr.Verdict {
	return pgerr.Verdict{
		Category: pgerr.CategoryConnection, Severity: pgerr.SeverityHigh, Retry: pgerr.RetryReconnect,
		Effect: pgerr.EffectUnknown, Trips: pgerr.ScopeDatabase,
	}
}

// lost judges an error on a connection that broke, or whose reply never came.
func (db *DB) lost(ctx context.Context, w *wire, err error) (pgerr.Verdict, error) {
	err = withCause(ctx, w.explain(err))
	v := db.verdict(err)
	switch {
	case errors.Is(err, errUnreplicated):
		v = unreplicatedVerdict()
	case v.Category == pgerr.CategoryUnknown && errors.Is(err, pgconn.ErrConnClosed):
		v = lostVerdict()
	}
	return v, err
}

// readOnly judges a write that was refused because its session or transaction
// is read-only. If that was wished for, no repeat helps, and it says nothing
// about the server. If not, the server may have been demoted: the prober finds
// out at once, and drains the pool if it is so.
func (db *DB) readOnly(v pgerr.Verdict, wished bool) pgerr.Verdict {
	switch {
	case v.Category != pgerr.CategoryReadOnly:
	case wished:
		v.Retry, v.Trips = pgerr.RetryNever, pgerr.ScopeNone
	default:
		db.m.Suspect("a write was refused as read-only")
	}
	return v
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

// withCause adds the cause of ctx to err, if ctx has ended and err does not
// hold it.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return &endedError{err: err, cause: cause}
}

// safe is the judgement of an attempt of which nothing remains.
func safe(v pgerr.Verdict) perdure.Judgement {
	return perdure.Judgement{Verdict: v, Repeat: perdure.RepeatSafe}
}

// never is the judgement of an attempt that must not be repeated.
func never(hint string) perdure.Judgement {
	return perdure.Judgement{Repeat: perdure.RepeatNever, Hint: hint}
}

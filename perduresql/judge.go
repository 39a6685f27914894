package perduresql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/pgerr"
)

// errBadConn takes the place of driver.ErrBadConn, which must never reach
// database/sql: it would run the statement again.
var errBadConn = errors.New("the driver lost the connection")

// lostError is the error of a connection that broke, with what the driver does
// not tell: how reading ended, and the server's parting word.
type lostError struct {
	err     error        // what the driver said, without driver.ErrBadConn
	cause   error        // how reading ended; may be nil
	parting *serverError // may be nil
}

// Error returns what is known, the driver's words first.
func (e *lostError) Error() string { return e.Describe(error.Error) }

// Describe makes it a redact.Describer: text tells its parts.
func (e *lostError) Describe(text func(error) string) string {
	all := text(e.err)
	if e.cause != nil && text(e.cause) != all {
		all += ": " + text(e.cause)
	}
	if e.parting != nil {
		all += ": " + text(e.parting)
	}
	return all
}

// Unwrap returns the driver's error, the parting word and the cause.
func (e *lostError) Unwrap() []error {
	all := []error{e.err}
	if e.parting != nil {
		all = append(all, e.parting)
	}
	if e.cause != nil {
		all = append(all, e.cause)
	}
	return all
}

// explain adds to err what is known of the end of l's connection, and takes
// driver.ErrBadConn out of it.
func (l *link) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*lostError](err); ok {
		return err
	}
	bad := errors.Is(err, driver.ErrBadConn)
	if !bad && !l.broken.Load() {
		return err
	}
	var e lostError
	if e.err = err; bad {
		e.err = errBadConn
	}
	if l.w != nil {
		e.parting, e.cause = l.w.known()
	}
	if e.cause != nil && errors.Is(e.err, e.cause) {
		e.cause = nil
	}
	if f, ok := answerFields(nil, e.err); ok && e.parting != nil && f.SQLState == e.parting.Code {
		e.parting = nil
	}
	if !bad && e.cause == nil && e.parting == nil {
		return err
	}
	return &e
}

// hide is for errors that are given to database/sql from inside a transaction
// or a session, where nobody repeats.
func (l *link) hide(ctx context.Context, err error) error {
	return adapter.WithCause(ctx, l.explain(err))
}

// verdict returns what err means, see adapter.Verdict.
func (db *DB) verdict(w *wire, err error) pgerr.Verdict {
	f, ok := answerFields(w, err)
	return adapter.Verdict(db.m, err, f, ok)
}

// lost judges an error on a connection that broke, or whose reply never came.
func (db *DB) lost(ctx context.Context, l *link, err error) (pgerr.Verdict, error) {
	err = adapter.WithCause(ctx, l.explain(err))
	v := db.verdict(l.w, err)
	switch {
	case errors.Is(err, outcome.ErrUnreplicated):
		v = adapter.UnreplicatedVerdict()
	case v.Category == pgerr.CategoryUnknown && l.broken.Load():
		v = adapter.LostVerdict()
	}
	return v, err
}

// judge judges a statement that failed outside a transaction. before is what
// was written on the connection when it began.
func (db *DB) judge(ctx context.Context, l *link, before int64, plain bool, err error) (perdure.Judgement, error) {
	f, answered := answerFields(l.w, err)
	if answered && !adapter.IsNotice(f.Severity) {
		v := adapter.ReadOnly(db.m, db.verdict(l.w, err), false)
		err = adapter.WithCause(ctx, err)
		if f.Severity == "ERROR" && plain && v.Effect == pgerr.EffectNone {
			return adapter.Safe(v), err
		}
		return perdure.Judgement{Verdict: v}, err
	}
	if !l.broken.Load() {
		// An error of the driver or of the caller's own types: no repeat helps.
		return perdure.Judgement{Verdict: db.verdict(l.w, err)}, err
	}
	v, err := db.lost(ctx, l, err)
	if l.unsent(before) {
		v.Effect = pgerr.EffectNone
		return adapter.Safe(v), err
	}
	return perdure.Judgement{Verdict: v}, err
}

// done judges a statement that the server has answered with success.
func (l *link) done() (perdure.Judgement, error) {
	if l.w != nil && l.w.unreplicated.Swap(false) {
		return perdure.Judgement{Verdict: adapter.UnreplicatedVerdict()}, outcome.ErrUnreplicated
	}
	return perdure.Judgement{}, nil
}

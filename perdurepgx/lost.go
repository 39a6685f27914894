package perdurepgx

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
)

// errNoCancel keeps the driver from sending a CancelRequest for a pending
// COMMIT: under synchronous replication it would end the wait, and the rows
// would be seen before they are replicated.
var errNoCancel = errors.New("no cancel request while a commit is pending")

// done judges a statement that the server has answered with success.
func (w *wire) done() (perdure.Judgement, error) {
	w.turn.End(false)
	if w.takeUnreplicated() {
		return perdure.Judgement{Verdict: adapter.UnreplicatedVerdict()}, outcome.ErrUnreplicated
	}
	return perdure.Judgement{}, nil
}

// lostError is the error of a connection that broke, with what the driver does
// not tell: how reading ended, and the server's parting word.
type lostError struct {
	err    error           // what the driver said
	cause  error           // how reading ended; may be nil
	notice *pgconn.PgError // 57P01 or 57P02 that came before the end; may be nil
}

// Error returns what is known, the driver's words first.
func (e *lostError) Error() string { return e.Describe(error.Error) }

// Describe makes it a redact.Describer: text tells its parts.
func (e *lostError) Describe(text func(error) string) string {
	all := text(e.err)
	if e.cause != nil && text(e.cause) != all {
		all += ": " + text(e.cause)
	}
	if e.notice != nil {
		all += ": " + text(e.notice)
	}
	return all
}

// Unwrap returns the driver's error, the notice and the cause.
func (e *lostError) Unwrap() []error {
	all := []error{e.err}
	if e.notice != nil {
		all = append(all, e.notice)
	}
	if e.cause != nil {
		all = append(all, e.cause)
	}
	return all
}

// explain adds to err what w knows about the end of its connection.
func (w *wire) explain(err error) error {
	if _, ok := errors.AsType[*lostError](err); ok || err == nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readErr == nil && w.notice == nil {
		return err
	}
	cause := w.readErr
	if cause != nil && errors.Is(err, cause) {
		cause = nil
	}
	if cause == nil && w.notice == nil {
		return err
	}
	return &lostError{err: err, cause: cause, notice: w.notice}
}

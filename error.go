package perdure

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/pgerr"
	"github.com/perdure/perdure/redact"
)

// Sentinels, to be found with errors.Is.
var (
	// ErrBreakerOpen: a circuit breaker refused the call before it began.
	ErrBreakerOpen = errors.New("circuit breaker open")
	// ErrBudgetSpent: the Manager's retry budget could not pay for a repeat.
	ErrBudgetSpent = errors.New("retry budget spent")
	// ErrClosed: the Manager was closed.
	ErrClosed = errors.New("perdure: manager closed")
	// ErrOutcomeUnknown: the work may or may not have been committed, and no
	// evidence can be had that decides it.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrPanicked: the work panicked, or ended its goroutine. Only events
	// carry it: the panic itself goes on up.
	ErrPanicked = errors.New("the work panicked")
)

// Reason says why a Manager gave up.
type Reason uint8

// The reasons. The zero Reason is that of a call that did not give up.
const (
	reasonNone           Reason = iota
	ReasonExhausted             // all attempts failed
	ReasonElapsed               // Policy.MaxElapsed ran out
	ReasonDeadline              // no repeat fits before the context's deadline
	ReasonBudget                // the retry budget could not pay
	ReasonBreakerOpen           // a breaker is open, and the call does not park (any longer)
	ReasonNotRetryable          // a later attempt met an error that no repeat can help
	ReasonNotIdempotent         // the error could be repeated, the operation may not
	ReasonOutcomeUnknown        // it cannot be known whether the work was committed
	ReasonCanceled              // the caller's context ended, or the Manager was closed
	ReasonPanicked              // the work panicked; in events and statistics only, for the panic goes on up
	reasonCount
)

var reasonNames = [reasonCount]string{
	"", "exhausted", "elapsed", "deadline", "budget", "breaker_open", "not_retryable",
	"not_idempotent", "outcome_unknown", "canceled", "panicked",
}

// String returns the reason as a metric label, such as "breaker_open"; the
// zero Reason is "".
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Error is what a Manager returns when it gives up. errors.Is and errors.As
// find both the operation's last error and the cause of the context, if that
// ended the call; read the Error itself with errors.AsType[*perdure.Error].
//
// An Error of a refused call (ReasonBreakerOpen with no attempts) is shared
// between calls: it must not be changed.
type Error struct {
	// Op is the name of the operation.
	Op string
	// Attempts is how many times the work was begun; zero if it was refused.
	Attempts int
	// Elapsed is the time since the call began, parked time included.
	Elapsed time.Duration
	// Reason is why the Manager gave up.
	Reason Reason
	// Verdict is what the last error means.
	Verdict pgerr.Verdict
	// Hint tells a person what to do; it may be empty.
	Hint string
	// RetryAt is the first time at which another try makes sense; zero if
	// nothing is known about that.
	RetryAt time.Time
	// CorrelationID is found on every log line and event of the call. It is
	// empty on the shared error of a refused call, whose event carries it.
	CorrelationID string
	// Err is the last error of the operation, or a sentinel if it never ran.
	Err error

	manager *Manager
	cause   error // a sentinel or the context's cause, besides Err
}

// Error returns one line: the operation, what was tried, why it ended and what
// may be said of the last error, for example
//
//	features.load: 4 attempts in 3.2s: connection refused
//
// It is safe to log: errors of the server, the driver and the network are told as [redact.Error]
// does; of others the words are kept, without what is quoted, numbers and
// addresses. Err has it all.
func (e *Error) Error() string { return e.Describe(redact.Redactor{Words: true}.Error) }

// Describe returns the line that Error does, with the errors that e wraps as
// text has them; it makes e a [redact.Describer].
func (e *Error) Describe(text func(error) string) string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Attempts > 0 {
		noun := "attempts"
		if e.Attempts == 1 {
			noun = "attempt"
		}
		fmt.Fprintf(&b, ": %d %s in %s", e.Attempts, noun, round(e.Elapsed))
	}
	if e.cause != nil {
		b.WriteString(": ")
		b.WriteString(text(e.cause))
	} else if e.Reason == ReasonNotIdempotent {
		b.WriteString(": not repeated")
	}
	if e.Err != nil && !errors.Is(e.cause, e.Err) {
		b.WriteString(": ")
		b.WriteString(text(e.Err))
	}
	return b.String()
}

// Unwrap returns the last error of the operation.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel, or in the cause of the context,
// that ended the call beside Err.
func (e *Error) Is(target error) bool { return e.cause != nil && errors.Is(e.cause, target) }

// As finds target in the cause of the context that ended the call beside Err.
func (e *Error) As(target any) bool { return e.cause != nil && errors.As(e.cause, target) }

// round makes a duration readable: three significant digits.
func round(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// marked is an error to which fn gave a verdict itself.
type marked struct {
	err   error
	after time.Duration
}

func (e *marked) Error() string { return e.err.Error() }
func (e *marked) Unwrap() error { return e.err }

// Transient marks err as one that a repeat may cure. The mark is a verdict:
// an Idempotent or ReadOnly operation that returns it is repeated under its
// policy. Transient(nil) is nil.
func Transient(err error) error { return RetryAfter(err, 0) }

// RetryAfter marks err as one that a repeat may cure after d at the earliest.
// RetryAfter(nil, d) is nil; a negative d counts as zero.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &marked{err: err, after: max(d, 0)}
}

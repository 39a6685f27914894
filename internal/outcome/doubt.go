package outcome

import (
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/redact"
)

// Doubt is a COMMIT whose reply is lost, and what was noted to resolve it.
type Doubt struct {
	ID      UUID        // of the attempt, if it has a marker
	XID     uint64      // zero if not known
	In      Incarnation // in which XID was given
	Backend Backend     // that ran it, if it is known
	Sent    time.Time
	Written int64 // bytes of the COMMIT that were written; what is not known counts as one
	Err     error // what the driver said; nil while there is no doubt
}

// Answer is what became of a doubt.
type Answer struct {
	Resolution perdure.Resolution
	Evidence   string
	Hint       string
}

// UnknownError is the error of a commit of which neither can be proven.
type UnknownError struct {
	Evidence string
	Err      error
}

// Error returns that the outcome is unknown, what was found, and the driver's words.
func (e *UnknownError) Error() string { return e.Describe(error.Error) }

// Describe makes it a redact.Describer: the evidence holds no data.
func (e *UnknownError) Describe(text func(error) string) string {
	return perdure.ErrOutcomeUnknown.Error() + ": " + e.Evidence + ": " + text(e.Err)
}

// Unwrap returns perdure.ErrOutcomeUnknown and the driver's error.
func (e *UnknownError) Unwrap() []error { return []error{perdure.ErrOutcomeUnknown, e.Err} }

// AbortedError is the error of a commit that was lost and is proven to
// be rolled back.
type AbortedError struct{ Err error }

// Error returns that the transaction is rolled back, and the driver's words.
func (e *AbortedError) Error() string { return e.Describe(error.Error) }

// Unwrap returns the driver's error.
func (e *AbortedError) Unwrap() error { return e.Err }

// Describe makes it a redact.Describer.
func (e *AbortedError) Describe(text func(error) string) string {
	return "commit lost, transaction rolled back: " + text(e.Err)
}

// unknown is the answer when time ran out; why is what stood in the way last.
func unknown(limit time.Duration, why error) Answer {
	evidence := fmt.Sprintf("not resolved within %v", limit)
	if why != nil {
		evidence += ": " + redact.Error(why) // it is told to hooks
	}
	a := Answer{Resolution: perdure.Undecided, Evidence: evidence}
	if hinted, ok := errors.AsType[*hintError](why); ok {
		a.Hint = hinted.hint
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

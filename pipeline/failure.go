package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/redact"
)

// Failure is why a task failed, as data: an engine that remembers keeps it.
type Failure struct {
	Message string `json:"message"`
	// Safe is what may be shown of it to whoever looks: the message may hold data. It is as [redact.Error]
	// says; empty if nobody knew.
	Safe     string `json:"safe,omitempty"`
	Hint     string `json:"hint,omitempty"`
	Reason   string `json:"reason,omitempty"`
	SQLState string `json:"sqlstate,omitempty"`
	// Stack of the goroutine, if the task panicked.
	Stack string `json:"stack,omitempty"`
	// Again says that another try makes sense, and RetryAt from when (zero:
	// after the step's Delay).
	Again   bool      `json:"again,omitempty"`
	RetryAt time.Time `json:"retry_at,omitzero"`
	// Err is the error itself, where the task ran in this process.
	Err error `json:"-"`
}

// PanicError is the error of a task that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error says what the task panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// RetryAt marks err as one after which the step may be run again, at that time
// at the earliest: the engine waits, and holds nothing meanwhile. The step must be one that may
// be run again: its effects happen once, or twice is the same as once. RetryAt(nil, t) is nil.
func RetryAt(err error, t time.Time) error {
	if err == nil {
		return nil
	}
	return &later{err, t}
}

type later struct {
	err error
	at  time.Time
}

func (e *later) Error() string { return e.err.Error() }
func (e *later) Unwrap() error { return e.err }

// stater is an error of a server, as drivers make them.
type stater interface {
	error
	SQLState() string
}

// NewFailure says what err means for the task that ended with it. Another try
// makes sense only if perdure said so: after an error of another kind nobody
// knows, and perdure never guesses.
func NewFailure(err error) *Failure {
	f := &Failure{Message: err.Error(), Safe: redact.Error(err), Err: err}
	if p, ok := errors.AsType[*PanicError](err); ok {
		f.Stack = string(p.Stack)
		return f
	}
	if l, ok := errors.AsType[*later](err); ok {
		f.Again, f.RetryAt = !errors.Is(err, context.Canceled), l.at
		return f
	}
	e, ok := errors.AsType[*perdure.Error](err)
	if !ok {
		if s, ok := errors.AsType[stater](err); ok {
			f.SQLState = s.SQLState()
		}
		return f
	}
	f.Hint, f.Reason, f.SQLState, f.RetryAt = e.Hint, e.Reason.String(), e.Verdict.SQLState, e.RetryAt
	switch e.Reason {
	case perdure.ReasonExhausted, perdure.ReasonElapsed, perdure.ReasonBudget, perdure.ReasonBreakerOpen,
		perdure.ReasonOutcomeUnknown: // its effects have keys: the next try finds what was done
		f.Again = true
	default:
		f.Again = !e.RetryAt.IsZero()
	}
	if errors.Is(err, context.Canceled) {
		f.Again = false
	}
	return f
}

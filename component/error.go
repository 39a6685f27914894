package component

import (
	"context"
	"errors"
	"fmt"

	"github.com/perdure/perdure"
)

// Reason says why an invocation failed.
type Reason uint8

// The reasons. The zero Reason is that of an invocation that succeeded.
const (
	reasonNone       Reason = iota
	ReasonUnknown           // there is no such component or method
	ReasonNotRunning        // the component does not run
	ReasonInput             // the input is too large, not JSON, or does not fit
	ReasonBusy              // no place was free, and none to wait for one
	ReasonTimeout           // the method's timeout ended it
	ReasonCanceled          // the caller's context ended, or the component was stopped
	ReasonFailed            // the method returned an error, or its Manager refused it
	ReasonPanicked          // the method panicked
	ReasonExited            // the method ended its goroutine (runtime.Goexit)
	ReasonAbandoned         // the method did not return after its context had ended; it still runs
	ReasonOutput            // what the method returned is too large, or not JSON
	reasonCount
)

var reasonNames = [reasonCount]string{
	"", "unknown", "not_running", "input", "busy", "timeout", "canceled", "failed", "panicked", "exited", "abandoned", "output",
}

// String returns the reason as a metric label, such as "not_running"; the zero
// Reason is "".
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// MarshalText returns the reason as String does.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Error is what an invocation that fails returns, always. errors.Is and
// errors.As find what the method returned and, if that ended it, the cause of
// the context; read the Error itself with errors.AsType[*component.Error].
//
// What perdure itself says in it holds nothing of the input but its keys. What
// the method said is the method's: see package redact.
type Error struct {
	// Component and Method were invoked.
	Component, Method string
	// Reason is why it failed.
	Reason Reason
	// Hint tells a person what to do; it may be empty.
	Hint string
	// CorrelationID is that of the invocation.
	CorrelationID string
	// Stack is that of the panic, for a log.
	Stack []byte
	// Err is the error of the method or of the Manager, or what was wrong.
	Err error
}

// Error returns one line, for example
//
//	features.build: input: /items/3/id: want integer, got string
func (e *Error) Error() string {
	name := e.Component + "." + e.Method
	if p, ok := e.Err.(*perdure.Error); ok && p.Op == name { //nolint:errorlint // its text begins with the name
		return e.Err.Error()
	}
	switch e.Reason {
	case ReasonInput, ReasonOutput:
		return fmt.Sprintf("%s: %v: %v", name, e.Reason, e.Err)
	default:
		return fmt.Sprintf("%s: %v", name, e.Err)
	}
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Describe makes it a Describer of the package redact: what the method said is
// described by itself.
func (e *Error) Describe(text func(error) string) string {
	return e.Component + "." + e.Method + ": " + e.Reason.String() + ": " + text(e.Err)
}

// fault is an error of the invoker, not of the method.
type fault struct {
	reason Reason
	err    error
	own    bool // all of its words are perdure's
}

// Describe makes it a Describer of the package redact.
func (f *fault) Describe(text func(error) string) string {
	if f.own {
		return f.err.Error()
	}
	return text(f.err)
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// panicError is what becomes of a panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panicked: %v", e.value) }

// Unwrap returns the value of the panic if it is an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// Is makes every panic a perdure.ErrPanicked.
func (e *panicError) Is(target error) bool { return target == perdure.ErrPanicked }

// Describe makes it a Describer of the package redact. The value of a panic may
// hold anything.
func (e *panicError) Describe(text func(error) string) string {
	if err, ok := e.value.(error); ok {
		return "panicked: " + text(err)
	}
	return "panicked"
}

// errExited is the error of a func that ended its goroutine.
var errExited = errors.New("ended its goroutine instead of returning")

// errStopped is the cause of the context of invocations whose component is stopped.
var errStopped = errors.New("the component is being stopped")

// timeoutError is the cause of a context that a setting ended.
type timeoutError struct{ text string }

func (e *timeoutError) Error() string { return e.text }

// Is makes it a context.DeadlineExceeded.
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

package redact

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errorf makes an error as fmt.Errorf does, whose words [Error] keeps: the
// format, which must be a constant, and arguments that are numbers, booleans,
// durations and times. Other arguments are redacted in what Error says, errors
// are told as Error tells them; the error's own Error method says it all.
func Errorf(format string, args ...any) error {
	return &worded{error: fmt.Errorf(format, args...), format: format, args: args}
}

// worded is an error whose own words are known to be harmless.
type worded struct {
	error

	format string
	args   []any
}

// Unwrap returns what the format's %w verbs wrap.
func (e *worded) Unwrap() []error {
	switch x := e.error.(type) { //nolint:errorlint // what fmt.Errorf made
	case interface{ Unwrap() []error }:
		return x.Unwrap()
	case interface{ Unwrap() error }:
		return []error{errors.Unwrap(e.error)}
	}
	return nil
}

// Describe implements [Describer].
func (e *worded) Describe(text func(error) string) string {
	args := make([]any, len(e.args))
	for i, a := range e.args {
		args[i] = harmless(a, text)
	}
	return fmt.Sprintf(strings.ReplaceAll(e.format, "%w", "%v"), args...)
}

// harmless returns a, or what may be said of it, as a value that fmt prints so
// under any verb.
func harmless(a any, text func(error) string) any {
	switch a := a.(type) {
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, time.Duration, time.Time:
		return a
	case error:
		return verbatim(text(a))
	}
	return verbatim(Mark)
}

// verbatim prints as it is under every verb.
type verbatim string

// Format implements fmt.Formatter.
func (v verbatim) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v)) }

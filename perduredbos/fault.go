package perduredbos

import (
	"context"
	"errors"
	"fmt"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

var (
	// ErrTakenOver says that another process has taken the run. What is done
	// there counts; what this process still did had no effect of its own, if it was done with keys.
	ErrTakenOver = errors.New("the run was taken over by another process")
	// ErrCanceled says that the run was canceled by a call of Cancel. It is a [context.Canceled].
	ErrCanceled = fmt.Errorf("the run was canceled: %w", context.Canceled)
)

// errForeign says that somebody else stored what this process was to store.
var errForeign = errors.New("another process has stored a record of the run")

// StateError says that the state of the runs cannot be read or written. Nothing of it
// was changed: what was remembered before is there when the cause is gone.
type StateError struct {
	// Where is the path, or the URL without its password.
	Where string
	// Try is what a person can do.
	Try string
	Err error
}

// Error names the place and the cause.
func (e *StateError) Error() string { return fmt.Sprintf("runs in %s: %v", e.Where, e.Err) }

// Unwrap returns the cause.
func (e *StateError) Unwrap() error { return e.Err }

// Hint says what a person can do; it may be empty.
func (e *StateError) Hint() string { return e.Try }

// lost reports whether DBOS said that the workflow is not this process's any more.
func lost(err error) bool {
	return errors.Is(err, errForeign) || errors.Is(err, dbos.ErrConflictingWorkflowID) || errors.Is(err, dbos.ErrWorkflowCancelled)
}

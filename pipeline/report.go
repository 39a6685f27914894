package pipeline

import (
	"encoding/json"
	"fmt"
	"time"
)

// Status is how far a step or a run came.
type Status string

// The statuses.
const (
	StatusPending   Status = "pending"
	StatusRunning   Status = "running"
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusSkipped   Status = "skipped"  // a step that it needs did not succeed
	StatusOmitted   Status = "omitted"  // its condition was false
	StatusCanceled  Status = "canceled" // the run was stopped first
	// StatusInterrupted is of runs alone: the process that ran it is gone, and it
	// can be gone on with. See [Durable].
	StatusInterrupted Status = "interrupted"
)

// Report is what a run did. It marshals to JSON.
type Report struct {
	Pipeline string        `json:"pipeline"`
	Run      string        `json:"run"`
	Status   Status        `json:"status"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration_ns"`
	Steps    []StepReport  `json:"steps"` // in the order of the definition
}

// StepReport is what one step did.
type StepReport struct {
	Name     string          `json:"name"`
	Status   Status          `json:"status"`
	Started  time.Time       `json:"started,omitzero"`
	Duration time.Duration   `json:"duration_ns"`
	Attempts int             `json:"attempts"`        // tries of all its tasks
	Items    int             `json:"items,omitempty"` // how many it had
	Output   json.RawMessage `json:"output,omitempty"`
	Failure  *Failure        `json:"failure,omitempty"`
}

// Step returns the report of the named step.
func (r Report) Step(name string) (StepReport, bool) {
	for _, s := range r.Steps {
		if s.Name == name {
			return s, true
		}
	}
	return StepReport{}, false
}

// StepError is the error of a run in which a step failed: the first that did.
type StepError struct {
	Step, Item string
	Failure    *Failure
}

// Error names the step, its item if it has items, and the failure.
func (e *StepError) Error() string {
	if e.Item != "" {
		return fmt.Sprintf("step %s, item %s: %s", e.Step, e.Item, e.Failure.Message)
	}
	return fmt.Sprintf("step %s: %s", e.Step, e.Failure.Message)
}

// Unwrap returns the task's own error, where it ran in this process.
func (e *StepError) Unwrap() error { return e.Failure.Err }

package runs

import (
	"time"

	"github.com/perdure/perdure/pipeline"
)

// Run is what is known of a run at one moment. It shares nothing with the
// Registry.
type Run struct {
	Name, Pipeline, Engine string
	// Status is running, succeeded, failed, canceled or interrupted.
	Status pipeline.Status
	How    How
	Try    int
	// Owner is the process that is, or was last, at work on it: empty for this one.
	Owner   string
	Started time.Time // of this try
	Ended   time.Time // zero while it runs
	Counts  Counts
	// Current is a step that runs, the last that began; empty if none does.
	Current string
	// Waits are the steps that do nothing but wait, Parked the guarded calls that wait now, for what
	// ParkedFor says, since ParkedSince.
	Waits       int
	Parked      int
	ParkedFor   string
	ParkedSince time.Time
	Until       time.Time // when the first of Waits goes on; zero if none is waited for
	Repeats     uint64    // attempts of guarded calls after the first, in this process
	Failure     *Failure  // why it did not succeed
	Remembered  bool      // it had succeeded before, and nothing was run
}

// Counts are the steps of a run by status.
type Counts struct {
	Pending, Running, Succeeded, Failed, Skipped, Omitted, Canceled int
}

// All is how many steps there are.
func (c Counts) All() int { return c.Over() + c.Pending + c.Running }

// Over is how many of them have ended, in whatever way.
func (c Counts) Over() int { return c.Succeeded + c.Failed + c.Skipped + c.Omitted + c.Canceled }

// of returns the count of a status.
func (c *Counts) of(s pipeline.Status) *int {
	switch s {
	case pipeline.StatusRunning:
		return &c.Running
	case pipeline.StatusSucceeded:
		return &c.Succeeded
	case pipeline.StatusFailed:
		return &c.Failed
	case pipeline.StatusSkipped:
		return &c.Skipped
	case pipeline.StatusOmitted:
		return &c.Omitted
	case pipeline.StatusCanceled, pipeline.StatusInterrupted:
		return &c.Canceled
	case pipeline.StatusPending:
	}
	return &c.Pending
}

// Waiting reports whether the run does nothing but wait: each step that is not
// over waits to be tried again, or for a call that is parked.
func (r *Run) Waiting() bool {
	return r.Status == pipeline.StatusRunning && r.Counts.Running > 0 && r.Waits >= r.Counts.Running
}

// Took is how long the run took, or has taken at that time.
func (r *Run) Took(now time.Time) time.Duration {
	if !r.Ended.IsZero() {
		now = r.Ended
	}
	return max(0, now.Sub(r.Started))
}

// Step is what is known of a step.
type Step struct {
	Name    string
	Status  pipeline.Status
	Started time.Time // zero: it has not begun
	Ended   time.Time // zero: it has not ended
	// Attempts are the tries of all its tasks that were begun.
	Attempts int
	// Done of Total are its items, or, if it has none, what it told of its progress. A Total of zero: neither.
	Done, Total int
	Items       bool // Done and Total are items
	// Until is when it is tried again: zero, or in the past, if it does not wait for that.
	Until       time.Time
	Parked      int // guarded calls that wait now
	ParkedFor   string
	ParkedSince time.Time
	Repeats     uint64
	Waits       []Wait   // that are over, or last until Until
	Failure     *Failure // of the step if it failed, of the last try if it runs
}

// Wait is a time in which a step did nothing but wait.
type Wait struct {
	From, To time.Time
	// For is database, budget or an operation, as perdure.ParkEvent says; empty: to be tried again.
	For string
}

// Waiting reports whether a step that runs does nothing but wait at that time, as far
// as this process knows.
func (s *Step) Waiting(now time.Time) bool {
	return s.Status == pipeline.StatusRunning && (s.Parked > 0 || !s.Items && s.Until.After(now))
}

// Took is how long the step took, or has taken at that time; zero if it has not begun.
func (s *Step) Took(now time.Time) time.Duration {
	if s.Started.IsZero() {
		return 0
	}
	if !s.Ended.IsZero() {
		now = s.Ended
	}
	return max(0, now.Sub(s.Started))
}

package pipeline

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNoRun says that an engine knows no run of that name.
	ErrNoRun = errors.New("there is no such run")
	// ErrRunning says that a process which lives is at work on the run.
	ErrRunning = errors.New("the run is at work in another process")
)

// Durable is an engine that remembers: a run outlives the process that began it,
// and another one can go on with it. Every effect of a task is made with a key
// (see [Key]), so that a task which two processes ran did its work once. A Durable may be used concurrently.
type Durable interface {
	// Run runs the plan to its end. A run of the same name that has succeeded is
	// not run again: its report is returned. One that failed, was canceled or
	// interrupted is gone on with, as by Resume. One that was begun with another
	// plan is refused with an error that is [ErrPlanChanged], unless
	// DurableOptions.Force is set.
	//
	// The errors are those of the function [Run], and [ErrRunning].
	Run(ctx context.Context, p Plan, o DurableOptions) (Report, error)
	// Resume goes on with a run under the plan that it was begun with. Steps that
	// succeeded are not run again. The errors are those of Run, and [ErrNoRun].
	Resume(ctx context.Context, run string, o DurableOptions) (Report, error)
	// List returns the newest limit runs, the newest first, without Plan and Report. Zero means 100.
	List(ctx context.Context, limit int) ([]RunInfo, error)
	// Show returns what is known of a run, or [ErrNoRun].
	Show(ctx context.Context, run string) (RunInfo, error)
	// Cancel ends a run, wherever it is at work: what runs is canceled through its
	// context, nothing else is started. A run that is over stays as it is. The error is [ErrNoRun] if there is none.
	Cancel(ctx context.Context, run string) error
}

// DurableOptions say how a process works on a run. The zero value is fine.
type DurableOptions struct {
	// Observe is told what happens, as Options.Observe is. Of a run that is gone
	// on with, it is told first what happened before. Nil means nobody is.
	Observe func(Event)
	// Stop, when closed, lets running tasks end and be remembered, and starts no
	// other: the run is then interrupted, and the error [ErrStopped]. Nil means that only the context stops it.
	Stop <-chan struct{}
	// Force goes on with a run although its plan has changed: what was done under
	// the old one stays done.
	Force bool
	// TakeOver takes a run from a process that seems to live but does not work:
	// one that is frozen, or whose machine is out of reach. Should it wake up, it can neither
	// go on with the run nor double an effect.
	TakeOver bool
}

// RunInfo is what an engine knows of a run. It marshals to JSON.
type RunInfo struct {
	Run      string `json:"run"`
	Pipeline string `json:"pipeline"`
	Engine   string `json:"engine"`
	// Status is running, succeeded, failed, canceled or interrupted.
	Status Status `json:"status"`
	// Try counts how often the run was begun: 1, and one more each time that it
	// was gone on with after a failure.
	Try int `json:"try"`
	// Owner is the process at work on it, or that was last: HOST/PID.
	Owner   string    `json:"owner,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// Plan and Report are there in what Show returns. The report of a run that is
	// not over says how far it came.
	Plan   *Plan   `json:"plan,omitempty"`
	Report *Report `json:"report,omitempty"`
}

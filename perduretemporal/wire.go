package perduretemporal

import (
	"time"

	"github.com/perdure/perdure/pipeline"
)

// The names that a history has. A change of one of them orphans the runs that
// are at work.
const (
	workflowName  = "perdure.run"
	activityName  = "perdure.task"
	progressQuery = "perdure.progress"
	stopSignal    = "perdure.stop"
	memoKey       = "perdure"

	typeFailed      = "perdure.Failed"      // of an ApplicationError: a step failed
	typeInterrupted = "perdure.Interrupted" // the run was stopped
	typeRefused     = "perdure.Refused"     // it could not begin
)

// input is what an execution of the workflow begins with.
type input struct {
	Plan      pipeline.Plan    `json:"plan"`
	Try       int              `json:"try"`
	Heartbeat time.Duration    `json:"heartbeat_ns"`
	Kept      int              `json:"kept"` // bytes, compressed, of what the run carries along
	Earlier   *pipeline.Report `json:"earlier,omitempty"`
	// The others are there if the try was begun by an earlier execution.
	Started time.Time         `json:"started,omitzero"`
	Records []pipeline.Record `json:"records,omitempty"` // of steps that have not succeeded
	Began   []began           `json:"began,omitempty"`
	Owner   string            `json:"owner,omitempty"`
}

// began says when a step began, in an earlier execution.
type began struct {
	Step string    `json:"step"`
	At   time.Time `json:"at"`
}

// taskInput is what an activity gets.
type taskInput struct {
	Plan pipeline.Plan `json:"plan"` // of its step alone
	Task pipeline.Task `json:"task"`
}

// taskResult is what an activity returns, whether the task failed or not.
type taskResult struct {
	Outcome pipeline.Outcome `json:"outcome"`
	Worker  string           `json:"worker"`
	Size    int              `json:"size"` // of the outcome in bytes, compressed
}

// ending is what an execution of the workflow ends with, as its result or in the
// details of its error.
type ending struct {
	Report pipeline.Report `json:"report"`
	Step   string          `json:"step,omitempty"` // the first that failed
	Item   string          `json:"item,omitempty"`
	Owner  string          `json:"owner,omitempty"`
}

// progress is what a query returns.
type progress struct {
	Report pipeline.Report `json:"report"`
	Steps  []stepProgress  `json:"steps"` // as in the report
	Owner  string          `json:"owner,omitempty"`
}

// stepProgress is what an observer may want to know of a step, besides its report.
type stepProgress struct {
	Done    int               `json:"done,omitempty"`
	Total   int               `json:"total,omitempty"`
	Item    string            `json:"item,omitempty"` // of the last event
	Until   time.Time         `json:"until,omitzero"` // when a task is tried again
	Failure *pipeline.Failure `json:"failure,omitempty"`
}

// beat is what a heartbeat says of a task.
type beat struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// memo is what a list of workflows shows of a run.
type memo struct {
	Pipeline    string    `json:"pipeline"`
	Try         int       `json:"try"`
	Started     time.Time `json:"started"`
	Interrupted bool      `json:"interrupted,omitempty"`
}

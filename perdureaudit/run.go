package perdureaudit

import (
	"time"

	"github.com/perdure/perdure/audit"
)

// RunAction is what happened to a run of a pipeline.
type RunAction string

// The actions.
const (
	RunBegun       RunAction = "begun"
	RunResumed     RunAction = "resumed"
	RunTakenOver   RunAction = "taken-over"  // from a process that seemed to live
	RunStepFailed  RunAction = "step-failed" // for good: it is not tried again
	RunSucceeded   RunAction = "succeeded"
	RunFailed      RunAction = "failed"
	RunCanceled    RunAction = "canceled"
	RunInterrupted RunAction = "interrupted" // stopped, and can be gone on with
	RunRemembered  RunAction = "remembered"  // had succeeded before: nothing was run
)

// RunEvent is something that happened to a run of a pipeline, for
// [Recorder.PipelineRun]. Fields that are zero are left out.
type RunEvent struct {
	// At is when. Zero means now.
	At time.Time
	// Pipeline is its name, and the subject of the record. Run is the run's name, and the correlation ID.
	Pipeline, Run string
	Action        RunAction
	Engine        string
	Try           int // how often the run was begun
	Steps         int // of the run
	Took          time.Duration
	// Step failed after so many Attempts, of RunStepFailed.
	Step     string
	Attempts int
	// Reason and SQLState are those of the failure, Text is what may be stored of it, as redact.Error or
	// pipeline.Failure.Safe say.
	Reason, SQLState, Text string
}

// PipelineRun records what happened to a run. It may be called concurrently,
// and waits as a hook does: for what happened to the run, Config.Wait at most if the
// queue is full; not at all for a step that failed.
func (r *Recorder) PipelineRun(e RunEvent) {
	rec := audit.Record{
		Time: e.At, Kind: audit.KindRun, Subject: e.Pipeline, Action: string(e.Action), CorrelationID: e.Run, Text: e.Text,
		Fields: map[string]any{},
	}
	for key, text := range map[string]string{"engine": e.Engine, "step": e.Step, "reason": e.Reason, "sqlstate": e.SQLState} {
		if text != "" {
			rec.Fields[key] = text
		}
	}
	for key, n := range map[string]int{"try": e.Try, "steps": e.Steps, "attempts": e.Attempts} {
		if n != 0 {
			rec.Fields[key] = n
		}
	}
	if e.Took > 0 {
		rec.Fields["took_ms"] = milliseconds(e.Took)
	}
	r.put(rec, e.Action != RunStepFailed)
}

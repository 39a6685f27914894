package runs

import (
	"github.com/perdure/perdure/perdureaudit"
	"github.com/perdure/perdure/pipeline"
)

// Audit writes to a trail how runs begin and end, and the steps that fail. Nil
// if there is no recorder.
func Audit(r *perdureaudit.Recorder) Sink {
	if r == nil {
		return nil
	}
	return func(n Note) {
		e := perdureaudit.RunEvent{At: n.At, Pipeline: n.Pipeline, Run: n.Run, Engine: n.Engine, Try: n.Try}
		switch {
		case n.Kind == Begun:
			e.Action = [...]perdureaudit.RunAction{perdureaudit.RunBegun, perdureaudit.RunResumed, perdureaudit.RunTakenOver}[n.How]
			e.Steps = n.Steps
		case n.Kind == StepEnded && n.Status == pipeline.StatusFailed:
			e.Action, e.Step, e.Attempts, e.Took = perdureaudit.RunStepFailed, n.Step, n.Attempts, n.Took
		case n.Kind == Ended && n.Remembered:
			e.Action = perdureaudit.RunRemembered
		case n.Kind == Ended:
			e.Action, e.Took = perdureaudit.RunAction(n.Status), n.Took
		default:
			return
		}
		if f := n.Failure; f != nil {
			e.Reason, e.SQLState, e.Text = f.Reason, f.SQLState, f.Text
			if e.Step == "" {
				e.Step = f.Step
			}
		}
		r.PipelineRun(e)
	}
}

package runs

import (
	"github.com/perdure/perdure/perdureprom"
	"github.com/perdure/perdure/pipeline"
)

// Metrics counts runs, and steps as they end. Nil if there is nothing to count
// them in.
func Metrics(p *perdureprom.Pipelines) Sink {
	if p == nil {
		return nil
	}
	return func(n Note) {
		switch n.Kind {
		case Begun:
			p.Declare(n.Pipeline)
		case StepEnded:
			if n.Took > 0 || n.Attempts > 0 {
				p.StepEnded(n.Pipeline, n.Step, string(n.Status), n.Took)
			}
		case Ended:
			if n.Remembered {
				return // it was counted when it ran
			}
			status := n.Status
			if status == pipeline.StatusInterrupted {
				status = pipeline.StatusCanceled
			}
			p.RunEnded(n.Pipeline, string(status), n.At)
		case StepStarted, StepWaits:
		}
	}
}

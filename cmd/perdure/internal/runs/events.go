package runs

import "github.com/perdure/perdure/cmd/perdure/internal/observe"

// Events tells the readers of an Observer's events.
func Events(o *observe.Observer) Sink {
	return func(n Note) {
		e := observe.RunEvent{
			At: n.At, Pipeline: n.Pipeline, Run: n.Run, Step: n.Step, Status: string(n.Status), How: n.How.String(),
			Took: n.Took, Until: n.Until, Remembered: n.Remembered,
		}
		if f := n.Failure; f != nil {
			if e.FailedStep = f.Step; n.Step != "" {
				e.FailedStep = n.Step
			}
			e.Reason, e.SQLState = f.Reason, f.SQLState
		}
		switch n.Kind {
		case Begun:
			e.What = observe.RunBegun
		case StepStarted:
			e.What = observe.StepBegun
		case StepWaits:
			e.What = observe.StepWaits
		case StepEnded:
			e.What = observe.StepEnded
		case Ended:
			e.What = observe.RunEnded
		}
		o.TellRun(e)
	}
}

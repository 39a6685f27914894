package runs

import (
	"github.com/perdure/perdure/pipeline"
)

// ofInfo is a run that an engine remembers.
func ofInfo(i *pipeline.RunInfo) Run {
	r := Run{
		Name: i.Run, Pipeline: i.Pipeline, Engine: i.Engine, Status: i.Status, Try: i.Try, Owner: i.Owner,
		Started: i.Started, Ended: i.Ended,
	}
	if i.Try > 1 {
		r.How = Resumed
	}
	return r
}

// stepsOf are its steps, by its report; without one by its plan. They are
// counted in r.
func stepsOf(i *pipeline.RunInfo, r *Run) []Step {
	var out []Step
	items := map[string]bool{}
	if i.Plan != nil {
		for _, s := range i.Plan.Steps {
			items[s.Name] = hasItems(s)
		}
	}
	switch {
	case i.Report != nil:
		for _, s := range i.Report.Steps {
			out = append(out, ofReport(s, items[s.Name]))
		}
	case i.Plan != nil:
		for _, s := range i.Plan.Steps {
			out = append(out, Step{Name: s.Name, Status: pipeline.StatusPending, Items: items[s.Name]})
		}
	}
	for k := range out {
		s := &out[k]
		*r.Counts.of(s.Status)++
		if s.Status == pipeline.StatusRunning {
			r.Current = s.Name
		}
		if s.Failure != nil && r.Failure == nil && s.Status == pipeline.StatusFailed {
			f := *s.Failure
			f.Step, r.Failure = s.Name, &f
		}
	}
	return out
}

func ofReport(s pipeline.StepReport, items bool) Step {
	out := Step{
		Name: s.Name, Status: s.Status, Started: s.Started, Attempts: s.Attempts, Items: items || s.Items > 0, Failure: failureOf(s.Failure),
	}
	if s.Items > 0 {
		out.Total = s.Items
		if s.Status == pipeline.StatusSucceeded {
			out.Done = s.Items
		}
	}
	if !s.Started.IsZero() && s.Status != pipeline.StatusRunning {
		out.Ended = s.Started.Add(s.Duration)
	}
	return out
}

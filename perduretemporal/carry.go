package perduretemporal

import (
	"slices"

	"github.com/perdure/perdure/pipeline"
)

// maxInput is the most bytes, compressed, that an execution begins with.
const maxInput = 2<<20 - 64<<10

// carry is what the next execution begins with: the report of the steps that
// ended well, the records of the others, and what was not told yet of them.
func (e *execution) carry() input {
	in := e.in
	in.Started, in.Kept, in.Owner, in.Began, in.Records = e.started, e.kept, e.owner, nil, nil
	records := slices.Concat(e.records, e.past.rest())
	report, err := in.Plan.Report(e.started, in.Earlier, e.records)
	if err != nil { // the next execution tells them all again
		in.Records = records
		return in
	}
	e.date(&report)
	in.Earlier = &pipeline.Report{Pipeline: report.Pipeline, Run: report.Run, Status: report.Status, Started: report.Started}
	status := make(map[string]pipeline.Status, len(report.Steps))
	for _, s := range report.Steps {
		status[s.Name] = s.Status
		if s.Status == pipeline.StatusSucceeded || s.Status == pipeline.StatusOmitted {
			in.Earlier.Steps = append(in.Earlier.Steps, s)
		} else if !s.Started.IsZero() {
			in.Began = append(in.Began, began{Step: s.Name, At: s.Started})
		}
	}
	for _, r := range records {
		if s := status[r.Step]; s != pipeline.StatusSucceeded && s != pipeline.StatusOmitted {
			in.Records = append(in.Records, r)
		}
	}
	return lighten(in, status)
}

// lighten leaves out what an execution can begin without: first why tasks failed
// that were tried again, then what the steps at work have done so far. Their tasks are
// then run again; effects with a key happen once all the same.
func lighten(in input, status map[string]pipeline.Status) input {
	heavy := func() bool {
		n, err := packedSize(in)
		return err != nil || n > maxInput
	}
	if !heavy() {
		return in
	}
	for i, r := range in.Records {
		if f := r.Outcome.Failure; f != nil && f.Again {
			in.Records[i].Outcome.Failure = &pipeline.Failure{Again: true, RetryAt: f.RetryAt}
		}
	}
	if heavy() {
		in.Records = slices.DeleteFunc(in.Records, func(r pipeline.Record) bool { return status[r.Step] != pipeline.StatusFailed })
	}
	return in
}

// date sets the times that what was told again does not have.
func (e *execution) date(r *pipeline.Report) {
	r.Duration += r.Started.Sub(e.started)
	r.Started = e.started
	for _, b := range e.begun {
		i := e.index[b.Step]
		s := &r.Steps[i]
		if e.inherited(b.Step) || s.Started.IsZero() {
			continue
		}
		s.Duration += s.Started.Sub(b.At)
		s.Started = b.At
	}
}

// inherited reports whether the step was over when this execution began.
func (e *execution) inherited(step string) bool {
	if e.in.Earlier == nil {
		return false
	}
	s, ok := e.in.Earlier.Step(step)
	return ok && (s.Status == pipeline.StatusSucceeded || s.Status == pipeline.StatusOmitted)
}

package observe

import (
	"strings"
	"time"

	"github.com/perdure/perdure/pgerr"
)

// RunWhat is what a RunEvent tells.
type RunWhat uint8

// What there is to tell.
const (
	RunBegun RunWhat = iota
	StepBegun
	StepWaits // it failed, and is tried again
	StepEnded
	RunEnded
)

// RunEvent is something that happened to a run of a pipeline. Nothing in it may
// hold data.
type RunEvent struct {
	What          RunWhat
	At            time.Time
	Pipeline, Run string
	Step          string // of the step's events
	Status        string // of the step or run, as package pipeline has it
	How           string // begun, resumed or taken over, of RunBegun
	Took          time.Duration
	Until         time.Time // of StepWaits
	FailedStep    string    // of RunEnded
	Reason        string    // of a failure
	SQLState      string
	Remembered    bool // the run had succeeded before
}

// TellRun tells the readers of events what happened to a run: at once for a run,
// and for its steps the first of a kind at once, more of them once a second as
// one. That a step begins is not told: those who ask for the run see it.
func (o *Observer) TellRun(e RunEvent) {
	switch e.What {
	case StepBegun:
	case RunBegun, RunEnded:
		o.log.tell(record{at: e.At, key: key{kind: KindRun, unique: e.Run}, count: 1, correlation: e.Run, run: &e})
	case StepWaits, StepEnded:
		k := key{kind: KindStep, unique: e.Run, waits: e.What == StepWaits, detail: e.Status}
		o.log.count(k, e.Run, 0, &e)
	}
}

// ordinary reports whether an event of a step needs nobody.
func (e *RunEvent) ordinary() bool { return e.What == StepEnded && e.Status != "failed" }

func (e *RunEvent) severity() Severity {
	switch {
	case e.What == RunEnded && e.Status == "succeeded":
		return Good
	case e.What == RunEnded && e.Status == "failed":
		return Critical
	case e.What == RunEnded, e.What == StepWaits, e.What == StepEnded && e.Status == "failed":
		return Warning
	}
	return Info
}

// text is the sentence of an event of a run.
func (e *RunEvent) text() string {
	if e.What == RunBegun {
		switch e.How {
		case "resumed":
			return "The run is gone on with."
		case "taken over":
			return "The run is taken over from another process."
		}
		return "The run begins."
	}
	switch {
	case e.Remembered:
		return "The run had succeeded before: nothing was run."
	case e.Status == "succeeded":
		return "The run succeeded in " + Duration(e.Took) + "."
	case e.Status == "failed" && e.FailedStep != "":
		return "The run failed after " + Duration(e.Took) + ", in step " + e.FailedStep + e.why() + "."
	case e.Status == "failed":
		return "The run failed after " + Duration(e.Took) + e.why() + "."
	case e.Status == "interrupted":
		return "The run was stopped after " + Duration(e.Took) + ". It can be gone on with."
	}
	return "The run was canceled after " + Duration(e.Took) + "."
}

// steps is the sentence of an event of so many steps.
func (e *RunEvent) steps(n uint64) string {
	switch {
	case e.What == StepWaits && n == 1:
		return "Step " + e.Step + " failed" + e.why() + ", and is tried again."
	case e.What == StepWaits:
		return "Steps failed " + Thousands(n) + " times and are tried again, last " + e.Step + e.why() + "."
	case n > 1:
		return Thousands(n) + " steps " + ended(e.Status, "were") + ", last " + e.Step + "."
	case e.Status == "succeeded":
		return "Step " + e.Step + " succeeded in " + Duration(e.Took) + "."
	case e.Status == "failed":
		return "Step " + e.Step + " failed" + e.why() + "."
	}
	return "Step " + e.Step + " " + ended(e.Status, "was") + "."
}

func ended(status, be string) string {
	if status == "succeeded" || status == "failed" {
		return status
	}
	return be + " " + status
}

// why is what may be said of a failure.
func (e *RunEvent) why() string {
	if c := Condition(pgerr.CategoryUnknown, e.SQLState); c != "" {
		return " (" + c + ")"
	}
	if e.Reason != "" {
		return " (" + strings.ReplaceAll(e.Reason, "_", " ") + ")"
	}
	return ""
}

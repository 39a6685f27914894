package runs

import (
	"errors"
	"strings"

	"github.com/perdure/perdure/cmd/perdure/internal/observe"
	"github.com/perdure/perdure/pgerr"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// Failure is what may be shown of why something failed.
type Failure struct {
	Step     string // of a run's: the first that failed; empty: the run itself
	Text     string
	Hint     string // what a person can do; empty: nothing is known
	Reason   string // why perdure gave up; empty: it did not decide
	SQLState string
}

// maxText bounds a text.
const maxText = 400

// untold is in the place of a text that nobody has made fit to be shown.
const untold = "its text may hold data, and is not shown here: the run's report has it"

// failureOf returns what may be shown of f, nil for none.
func failureOf(f *pipeline.Failure) *Failure {
	if f == nil {
		return nil
	}
	out := &Failure{Text: f.Safe, Hint: bounded(redact.Text(f.Hint)), Reason: f.Reason, SQLState: f.SQLState}
	if out.Text == "" && f.Err != nil {
		out.Text = redact.Error(f.Err)
	}
	switch {
	case out.Text == "" && f.SQLState != "":
		out.Text = observe.Condition(pgerr.CategoryUnknown, f.SQLState)
	case out.Text == "" && f.Reason != "":
		out.Text = "gave up: " + strings.ReplaceAll(f.Reason, "_", " ")
	case out.Text == "":
		out.Text = "an error: " + untold
	case isType(out.Text):
		out.Text = "an error of the type " + out.Text + ": " + untold
	}
	out.Text = bounded(out.Text)
	return out
}

// failureOfRun returns what may be shown of the error that a run ended with.
func failureOfRun(err error) *Failure {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pipeline.StepError](err); ok {
		f := failureOf(e.Failure)
		f.Step = e.Step
		return f
	}
	return failureOf(pipeline.NewFailure(err))
}

// isType reports whether a text is but the name of a type, as redact.Error
// gives it for an error that it does not know.
func isType(s string) bool {
	return strings.HasPrefix(s, "*") && !strings.ContainsAny(s, " :") && strings.Contains(s, ".")
}

func bounded(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

package dashboard

import (
	"math"
	"strconv"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

// runCard tells of a run without its steps.
func runCard(r *runs.Run, at time.Time) RunCard {
	c := RunCard{
		ID: "run-" + r.Name, Name: r.Name, Pipeline: r.Pipeline, Engine: r.Engine, Current: r.Current,
		Started: r.Started, Took: latency(r.Took(at)),
	}
	c.Class, c.Word = stateOf(r.Status, r.Waiting())
	if r.Status != pipeline.StatusRunning && r.Ended.IsZero() { // of another process: when it ended is not known
		c.Took = "–"
	}
	if all := r.Counts.All(); all > 0 {
		c.Steps = whole(r.Counts.Over()) + " of " + whole(all)
		c.Progress = Meter{Share: share(float64(r.Counts.Over()), float64(all)), Label: c.Steps + " steps have ended", Class: c.Class}
	}
	c.Facts = facts(r)
	c.Notes = runNotes(r, at)
	return c
}

// stateOf is the class and the word of a status.
func stateOf(s pipeline.Status, waits bool) (class, word string) {
	if waits {
		return "waiting", "Waiting"
	}
	switch s {
	case pipeline.StatusRunning:
		return "running", "Running"
	case pipeline.StatusSucceeded:
		return "succeeded", "Succeeded"
	case pipeline.StatusFailed:
		return "failed", "Failed"
	case pipeline.StatusSkipped:
		return "skipped", "Skipped"
	case pipeline.StatusOmitted:
		return "omitted", "Omitted"
	case pipeline.StatusCanceled:
		return "canceled", "Canceled"
	case pipeline.StatusInterrupted:
		return "interrupted", "Interrupted"
	case pipeline.StatusPending:
	}
	return "pending", "Pending"
}

func facts(r *runs.Run) []string {
	var out []string
	add := func(s string) { out = append(out, s) }
	if r.Counts.Failed > 0 {
		add(strconv.Itoa(r.Counts.Failed) + " failed")
	}
	if r.Counts.Skipped > 0 {
		add(strconv.Itoa(r.Counts.Skipped) + " skipped")
	}
	if r.Repeats > 0 {
		add(count(int(min(r.Repeats, math.MaxInt32)), "repeat", "repeats"))
	}
	if r.Try > 1 {
		add("try " + strconv.Itoa(r.Try))
	}
	if r.How == runs.TakenOver {
		add("taken over")
	}
	add("engine " + r.Engine)
	if r.Owner != "" {
		add("process " + r.Owner)
	}
	return out
}

// runNotes are what a person should know of a run, with what to do about it.
func runNotes(r *runs.Run, at time.Time) (out []Note) {
	if r.Remembered {
		out = append(out, Note{Class: "calm", Icon: "healthy", Text: text("It had succeeded before, so nothing was run again.")})
	}
	if r.Parked > 0 {
		out = append(out, parkedNote(r.Parked, r.ParkedFor, r.ParkedSince))
	}
	if r.Waits > 0 && !r.Until.IsZero() && r.Waiting() {
		out = append(out, Note{Class: "waits", Icon: "waiting", Text: []Phrase{
			{Text: "It goes on at "}, {At: r.Until}, {Text: ", " + in(r.Until.Sub(at)) + ": a step failed and is tried again. Nothing is held meanwhile."},
		}})
	}
	switch {
	case r.Status == pipeline.StatusFailed && r.Failure != nil:
		out = append(out, failureNote(r.Failure, resume(r)))
	case r.Status == pipeline.StatusInterrupted:
		out = append(out, Note{Class: "waits", Icon: "interrupted", Text: text("It was stopped before its end. What is done stays done."), Todo: resume(r)})
	}
	return out
}

// resume is how to go on with a run that an engine remembers.
func resume(r *runs.Run) []Phrase {
	if r.Engine == runs.Inline {
		return text("Run the same command again. With a key, what was done in the database stays done.")
	}
	return []Phrase{{Text: "Go on with what is not done: "}, {Code: "perdure runs resume " + r.Name}}
}

func parkedNote(n int, why string, since time.Time) Note {
	what := "the breaker of " + why
	switch why {
	case databaseName:
		what = "the database"
	case "budget":
		what = "the retry budget"
	case "room":
		what = "room on the server or in the pool"
	}
	verb, themselves := " calls wait", "themselves"
	if n == 1 {
		verb, themselves = " call waits", "itself"
	}
	return Note{Class: "waits", Icon: "waiting", Text: []Phrase{
		{Text: whole(n) + verb + " for " + what + " since "},
		{At: since},
		{Text: ", and will go on by " + themselves + ". Nothing is lost."},
	}}
}

// failureNote says why, and what to do; otherwise is for those who have no hint.
func failureNote(f *runs.Failure, otherwise []Phrase) Note {
	n := Note{Class: "fails", Icon: "failed", Todo: otherwise}
	if f.Step != "" {
		n.Text = []Phrase{{Text: "Step "}, {Code: f.Step}, {Text: " failed: " + f.Text}}
	} else {
		n.Text = text(f.Text)
	}
	if f.Hint != "" {
		n.Todo = text(f.Hint)
	}
	return n
}

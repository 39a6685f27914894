package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

// shownRun is the JSON of runs show.
type shownRun struct {
	runJSON

	// Plan is the digest of what the run does: the same for the same.
	Plan   string          `json:"plan"`
	Params json.RawMessage `json:"params,omitempty"`
	Steps  []ranStep       `json:"steps"`
}

func (a *app) runsShowCommand() *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show how far a run came, with a timeline of its steps",
		Long: "show shows a run: its status, and of each step when it began, how long it took, how often its tasks were run\n" +
			"and why it failed. Outputs are in the JSON (--output json).",
		Example: "  perdure runs show flight-delays.2001-12-31-4f1c9ab2e0",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRuns(cmd.Context(), f, func(e *engine) error {
				info, err := e.Show(cmd.Context(), args[0])
				if err != nil {
					return e.explain(err, args[0])
				}
				return a.printShown(info, e, time.Now())
			})
		},
	}
	f.addRuns(cmd)
	cmd.ValidArgsFunction = a.completeRuns(&f, 1, nil)
	return cmd
}

func (a *app) printShown(i pipeline.RunInfo, e *engine, now time.Time) error {
	out := shownRun{runJSON: newRunJSON(i, now), Steps: []ranStep{}}
	if i.Plan != nil {
		out.Plan, out.Params = i.Plan.Digest(), i.Plan.Params
	}
	if i.Report != nil {
		out.Steps = newRanRun(*i.Report, i.Engine, nil).Steps
	}
	if a.output == "json" {
		return writeJSON(a.out, out)
	}
	head := fmt.Sprintf("%s  pipeline %s, run %s, try %d, %s\n", a.statusWord(i.Status), printable(i.Pipeline), printable(i.Run), i.Try, i.Engine)
	line := "began " + clock(i.Started)
	if d := lasted(i, now); d > 0 {
		line += ", " + took(d)
	}
	if i.Owner != "" {
		line += ", by " + printable(i.Owner)
	}
	if _, err := fmt.Fprint(a.out, head+line+"\n\n"); err != nil {
		return err
	}
	if err := timeline(i, now).write(a.out); err != nil {
		return err
	}
	if i.Status == pipeline.StatusInterrupted {
		a.say("\nTry: %s", e.goOn(i.Run, false))
	}
	return nil
}

// timelineWidth is how many characters the time of a run is drawn with.
const timelineWidth = 32

// timeline is the table of a run's steps, with a bar for each on one axis of time.
func timeline(i pipeline.RunInfo, now time.Time) grid {
	g := grid{rows: [][]string{{"STEP", "STATUS", "BEGAN", "TOOK", "RUNS", "ITEMS", "TIMELINE", "ERROR"}}}
	if i.Report == nil {
		return g
	}
	from, to := span(i, now)
	for _, s := range i.Report.Steps {
		began, length, bar, fault, items := none, none, "", "", ""
		if !s.Started.IsZero() {
			end := endOf(s, now)
			began, length = "+"+took(max(0, s.Started.Sub(from))), took(max(0, end.Sub(s.Started)))
			bar = barOf(s, from, to, end)
		}
		if s.Failure != nil {
			fault = printable(s.Failure.Message)
		}
		if s.Items > 0 {
			items = thousands(int64(s.Items))
		}
		g.rows = append(g.rows, []string{printable(s.Name), string(s.Status), began, length, thousands(int64(s.Attempts)), items, bar, fault})
	}
	return g
}

// span is the time that the timeline shows. Steps of an earlier try began before
// the run did, as its report says.
func span(i pipeline.RunInfo, now time.Time) (from, to time.Time) {
	from, to = i.Report.Started, i.Report.Started.Add(i.Report.Duration)
	if i.Started.Before(from) {
		from = i.Started
	}
	for _, s := range i.Report.Steps {
		if s.Started.IsZero() {
			continue
		}
		if s.Started.Before(from) {
			from = s.Started
		}
		if end := endOf(s, now); end.After(to) {
			to = end
		}
	}
	return from, to
}

// endOf is when a step ended, or now.
func endOf(s pipeline.StepReport, now time.Time) time.Time {
	if s.Status == pipeline.StatusRunning {
		return now
	}
	return s.Started.Add(s.Duration)
}

// barOf draws a step: at least one character, whatever it took.
func barOf(s pipeline.StepReport, from, to, end time.Time) string {
	whole := to.Sub(from)
	if whole <= 0 {
		return "━"
	}
	cell := func(t time.Time) int {
		return min(timelineWidth, max(0, int(int64(timelineWidth)*int64(t.Sub(from)/time.Microsecond)/max(1, int64(whole/time.Microsecond)))))
	}
	first := min(cell(s.Started), timelineWidth-1)
	last := max(cell(end), first+1)
	stroke := "━"
	if s.Status == pipeline.StatusRunning {
		stroke = "╌"
	}
	return strings.Repeat(" ", first) + strings.Repeat(stroke, last-first)
}

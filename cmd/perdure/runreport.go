package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/pipeline"
)

// ranRun is the JSON of a run of a file: docs/cli-json.md is its contract.
type ranRun struct {
	Pipeline string          `json:"pipeline"`
	Run      string          `json:"run"`
	Engine   string          `json:"engine"`
	Status   pipeline.Status `json:"status"`
	// Already says that the run had succeeded before, and that this is the report of then.
	Already bool      `json:"already_succeeded"`
	Error   string    `json:"error,omitempty"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Steps   []ranStep `json:"steps"`
	// Work is there if this process did it.
	Work workReport `json:"work,omitzero"`
}

type ranStep struct {
	stepReport

	Started time.Time       `json:"started,omitzero"`
	Output  json.RawMessage `json:"output,omitempty"`
}

// workReport counts what was done on the database, and against it.
type workReport struct {
	Server         string           `json:"server"`
	Calls          int64            `json:"calls"`
	Retries        int64            `json:"retries"`
	CommitsInDoubt *doubts          `json:"commits_in_doubt"`
	ResolvedBy     map[string]int64 `json:"resolved_by"`
	Remembered     int64            `json:"remembered"`
	Parked         int64            `json:"parked"`
	ParkedSeconds  float64          `json:"parked_seconds"`
	Chaos          *chaosReport     `json:"chaos,omitempty"`
}

type chaosReport struct {
	Level  chaos.Level  `json:"level"`
	Seed   uint64       `json:"seed"`
	Faults chaos.Counts `json:"faults"`
}

// take reads the counts when all is over.
func (r *workReport) take(w *workshop, f chaosFlags) {
	var m runReport
	w.meter.copyTo(&m)
	*r = workReport{
		Server: w.server.version, Calls: m.Calls, Retries: m.Retries, CommitsInDoubt: m.CommitsInDoubt, ResolvedBy: m.ResolvedBy,
		Remembered: m.Remembered, Parked: m.Parked, ParkedSeconds: m.ParkedSeconds,
	}
	if f.level != chaos.Off && w.faults != nil {
		r.Chaos = &chaosReport{Level: f.level, Seed: f.seed, Faults: w.faults()}
	}
}

// newRanRun puts a report into the form in which it is printed.
func newRanRun(r pipeline.Report, engine string, err error) ranRun {
	out := ranRun{Pipeline: r.Pipeline, Run: r.Run, Engine: engine, Status: r.Status, Started: r.Started, Seconds: seconds(r.Duration)}
	if err != nil {
		out.Error = err.Error()
	}
	var rows runReport
	rows.take(r, nil)
	for i, s := range rows.Steps {
		out.Steps = append(out.Steps, ranStep{s, r.Steps[i].Started, r.Steps[i].Output})
	}
	return out
}

// printRan writes one run.
func (a *app) printRan(r ranRun) error {
	if a.output == "json" {
		return writeJSON(a.out, r)
	}
	if _, err := fmt.Fprintf(a.out, "%s  pipeline %s, run %s, %s\n\n", a.statusWord(r.Status), r.Pipeline, r.Run, took(time.Duration(r.Seconds*float64(time.Second)))); err != nil {
		return err
	}
	g := grid{rows: [][]string{{"STEP", "STATUS", "SECONDS", "RUNS", "ITEMS", "OUTPUT OR ERROR"}}}
	for _, s := range r.Steps {
		last, items := brief80(string(s.Output)), ""
		if s.Error != "" {
			last = s.Error
		}
		if s.Items > 0 {
			items = thousands(int64(s.Items))
		}
		g.rows = append(g.rows, []string{s.Name, string(s.Status), fmt.Sprintf("%.1f", s.Seconds), thousands(int64(s.Attempts)), items, printable(last)})
	}
	if err := g.write(a.out); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.out, r.Work.text())
	return err
}

// text says in a few lines what was broken, if anything was, and what that cost.
func (r workReport) text() string {
	if r.Chaos == nil {
		return ""
	}
	d := *r.CommitsInDoubt
	return "\n" + r.Chaos.text() + fmt.Sprintf("Work: %s calls, %s retries, %s commits in doubt (%s committed, %s aborted, %s unknown).\n",
		thousands(r.Calls), thousands(r.Retries), thousands(d.Committed+d.Aborted+d.Unknown),
		thousands(d.Committed), thousands(d.Aborted), thousands(d.Unknown))
}

// text is a line that says what was broken.
func (r chaosReport) text() string {
	return fmt.Sprintf("Chaos (%s, seed %d): %s of the postmaster, %s, %s of a backend, %s commit replies lost, %s connections cut before COMMIT.\n",
		r.Level, r.Seed, counted(r.Faults.PostmasterKills, "kill"), counted(r.Faults.ImmediateStops, "immediate stop"),
		counted(r.Faults.BackendKills, "kill"), thousands(int64(r.Faults.CommitRepliesLost)), thousands(int64(r.Faults.CutBeforeCommit)))
}

// statusWord is a status as the first word of a report.
func (a *app) statusWord(s pipeline.Status) string {
	var color string
	switch s {
	case pipeline.StatusSucceeded:
		color = green
	case pipeline.StatusRunning, pipeline.StatusInterrupted, pipeline.StatusPending:
		color = yellow
	default:
		color = red
	}
	return a.color(strings.ToUpper(string(s)), color)
}

// brief80 is the beginning of a text, as a table has room for it.
func brief80(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// took is a duration as people read it.
func took(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// clock is a time as people read it: of this machine.
func clock(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.Local().Format(time.DateTime)
}

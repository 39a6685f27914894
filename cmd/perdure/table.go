package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/pipeline"
)

const none = "–"

// printDemo writes the comparison.
func (a *app) printDemo(r demoReport, srv *server) error {
	if a.output == "json" {
		return writeJSON(a.out, r)
	}
	names, runs := []string{"", "in peace", "under chaos"}, []*runReport{r.Peace, r.Chaos}
	if r.Naive != nil {
		names, runs = append(names, "naive"), append(runs, r.Naive)
	}
	rows := runRows(runs)
	rows[0] = append(rows[0], names[1:]...)
	g := grid{numeric: true, rows: rows}
	if err := g.write(a.out); err != nil {
		return err
	}
	var b strings.Builder
	if r.Naive != nil {
		fmt.Fprintf(&b, "\nnaive: %s.\nThe same pipeline, SQL, tables, parallelism and chaos; a batch that fails three times is skipped.\n", r.Naive.How)
		if r.Naive.Verdict == notAudited {
			fmt.Fprintf(&b, "Its rows could not be looked at: %s.\n", r.Naive.Error)
		} else if r.Naive.Error != "" {
			fmt.Fprintf(&b, "It did not finish: %s.\n", r.Naive.Error)
		}
	}
	if srv.cluster == nil {
		b.WriteString("\nThis server was not killed: only --embedded is.\n")
	} else if !r.ChaosMet {
		b.WriteString("\nThe chaos was milder than severe is meant to be: the run was too short for it.\n")
	}
	if r.Identical {
		fmt.Fprintf(&b, "\n%s  the run under chaos left the same bits as the run in peace (%v in all)\n",
			a.color("IDENTICAL", green), time.Duration(r.Seconds*1e9).Round(100*time.Millisecond))
	} else {
		fmt.Fprintf(&b, "\n%s  the run under chaos left other bits than the run in peace\n", a.color("NOT IDENTICAL", red))
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// printRun writes one run: its steps, what was counted, and the model.
func (a *app) printRun(r runReport) error {
	if a.output == "json" {
		return writeJSON(a.out, r)
	}
	steps := grid{numeric: true, rows: [][]string{{"step", "status", "tasks", "attempts", "seconds"}}}
	for _, s := range r.Steps {
		steps.rows = append(steps.rows, []string{
			s.Name, string(s.Status), strconv.Itoa(max(1, s.Items)), strconv.Itoa(s.Attempts), fmt.Sprintf("%.2f", s.Seconds),
		})
	}
	steps.rows = append(steps.rows, []string{""})
	if err := steps.write(a.out); err != nil {
		return err
	}
	if err := (grid{numeric: true, rows: runRows([]*runReport{&r})}).write(a.out); err != nil {
		return err
	}
	if r.Model == nil {
		return nil
	}
	cal := grid{numeric: true, rows: [][]string{{""}, {"calibration", "flights", "predicted", "late"}}}
	for i, b := range r.Model.Calibration {
		cal.rows = append(cal.rows, []string{fmt.Sprintf("  tenth %d", i+1), thousands(int64(b.Rows)), percent(b.Predicted), percent(b.Observed)})
	}
	return cal.write(a.out)
}

// runRows are the rows of the table, one column for each run.
func runRows(runs []*runReport) [][]string {
	var rows [][]string
	add := func(name string, cell func(r *runReport) string) {
		row := []string{name}
		for _, r := range runs {
			row = append(row, cell(r))
		}
		rows = append(rows, row)
	}
	number := func(name string, value func(r *runReport) int64) {
		add(name, func(r *runReport) string { return thousands(value(r)) })
	}
	gap := func(title string) { rows = append(rows, []string{""}, []string{title}) }
	fault := func(name string, value func(c chaos.Counts) int) {
		add("  "+name, func(r *runReport) string {
			if r.Faults == (chaos.Counts{}) {
				return none
			}
			return thousands(int64(value(r.Faults)))
		})
	}
	doubt := func(name string, value func(d doubts) int64) {
		add(name, func(r *runReport) string {
			if r.CommitsInDoubt == nil {
				return "not known"
			}
			return thousands(value(*r.CommitsInDoubt))
		})
	}

	rows = append(rows, []string{"faults injected"})
	fault("kill -9 of the postmaster", func(c chaos.Counts) int { return c.PostmasterKills })
	fault("immediate stop", func(c chaos.Counts) int { return c.ImmediateStops })
	fault("kill -9 of a backend", func(c chaos.Counts) int { return c.BackendKills })
	fault("COMMIT done, reply lost", func(c chaos.Counts) int { return c.CommitRepliesLost })
	fault("cut before COMMIT", func(c chaos.Counts) int { return c.CutBeforeCommit })
	fault("deadlocks, serialization failures", func(c chaos.Counts) int { return c.Deadlocks + c.SerializationFailures })
	gap("work")
	add("  engine", func(r *runReport) string { return r.Engine })
	number("  calls", func(r *runReport) int64 { return r.Calls })
	number("  retries", func(r *runReport) int64 { return r.Retries })
	if slices.ContainsFunc(runs, func(r *runReport) bool { return r.GaveUp > 0 }) {
		number("  gave up", func(r *runReport) int64 { return r.GaveUp })
	}
	doubt("  commits in doubt", func(d doubts) int64 { return d.Committed + d.Aborted + d.Unknown })
	doubt("    resolved: committed", func(d doubts) int64 { return d.Committed })
	doubt("    resolved: aborted", func(d doubts) int64 { return d.Aborted })
	doubt("    unknown", func(d doubts) int64 { return d.Unknown })
	add("  time parked, all calls", func(r *runReport) string {
		if r.Parked == 0 {
			return none
		}
		return fmt.Sprintf("%.1f s", r.ParkedSeconds)
	})
	gap("result")
	number("  rows expected", func(r *runReport) int64 { return r.Expected })
	number("  rows lost", func(r *runReport) int64 { return r.Lost })
	number("  rows doubled", func(r *runReport) int64 { return r.Doubled })
	if slices.ContainsFunc(runs, func(r *runReport) bool { return r.Rejected > 0 }) {
		number("  lines rejected", func(r *runReport) int64 { return int64(r.Rejected) })
	}
	add("  digest of tables and model", func(r *runReport) string { return r.Digest[:min(12, len(r.Digest))] })
	add("  AUC in the last month", func(r *runReport) string {
		if r.Model == nil {
			return none
		}
		return fmt.Sprintf("%.4f", r.Model.AUC)
	})
	add("  log loss (of the base rate)", func(r *runReport) string {
		if r.Model == nil {
			return none
		}
		return fmt.Sprintf("%.4f (%.4f)", r.Model.LogLoss, r.Model.BaseLogLoss)
	})
	add("  time", func(r *runReport) string { return fmt.Sprintf("%.1f s", r.Seconds) })
	add("  verdict", func(r *runReport) string {
		if r.Status != pipeline.StatusSucceeded && r.Verdict == "" {
			return string(r.Status)
		}
		return r.Verdict
	})
	return rows
}

// thousands writes a number with commas, as people read it.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

const (
	green  = "32"
	red    = "31"
	yellow = "33"
)

// color paints s if stdout is a terminal and NO_COLOR is not set.
func (a *app) color(s, code string) string {
	f, ok := a.out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	return "\x1b[1;" + code + "m" + s + "\x1b[0m"
}

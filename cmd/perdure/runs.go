package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

func (a *app) runsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "runs",
		Short: "Show the runs of pipelines, go on with them, cancel them",
		Long: "runs shows what an engine remembers of the runs of pipelines, goes on with those that were interrupted, and\n" +
			"cancels them. The engine is dbos, in the state directory, unless the flags say otherwise: they are those that\n" +
			"\"perdure run\" was given.",
	}, a.runsLsCommand(), a.runsShowCommand(), a.runsResumeCommand(), a.runsCancelCommand())
}

// addRuns adds the flags of commands that work with runs that are remembered.
func (f *engineFlags) addRuns(cmd *cobra.Command) { f.add(cmd, "dbos or temporal (default: dbos)") }

// withRuns opens the engine for a command that does none of the work of runs.
func (a *app) withRuns(ctx context.Context, f engineFlags, do func(*engine) error) error {
	e, err := a.openRuns(ctx, f)
	if err != nil {
		return err
	}
	err = do(e)
	if end := e.Close(context.WithoutCancel(ctx)); err == nil {
		err = end
	}
	return err
}

// runJSON is a run in the JSON of runs ls and runs show: docs/cli-json.md is its
// contract.
type runJSON struct {
	Run      string          `json:"run"`
	Pipeline string          `json:"pipeline"`
	Engine   string          `json:"engine"`
	Status   pipeline.Status `json:"status"`
	Try      int             `json:"try"`
	Owner    string          `json:"owner,omitempty"`
	Started  time.Time       `json:"started"`
	Ended    time.Time       `json:"ended,omitzero"`
	Seconds  float64         `json:"seconds"`
}

func newRunJSON(i pipeline.RunInfo, now time.Time) runJSON {
	return runJSON{
		Run: i.Run, Pipeline: i.Pipeline, Engine: i.Engine, Status: i.Status, Try: i.Try, Owner: i.Owner,
		Started: i.Started, Ended: i.Ended, Seconds: seconds(lasted(i, now)),
	}
}

// lasted is how long a run took, or takes so far. When an interrupted run ended
// nobody knows, unless the engine does.
func lasted(i pipeline.RunInfo, now time.Time) time.Duration {
	switch {
	case !i.Ended.IsZero():
		return i.Ended.Sub(i.Started)
	case i.Status == pipeline.StatusRunning || i.Status == pipeline.StatusPending:
		return max(0, now.Sub(i.Started))
	case i.Report != nil:
		return i.Report.Duration
	}
	return 0
}

// listed is the JSON of runs ls.
type listed struct {
	Runs []runJSON `json:"runs"`
}

func (a *app) runsLsCommand() *cobra.Command {
	var (
		f     engineFlags
		limit int
	)
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List runs, the newest first",
		Long: "ls lists the runs that the engine remembers, the newest first. A run is running while a process is at work on\n" +
			"it, and interrupted when that process is gone: \"perdure runs resume\" goes on with it.",
		Example: "  perdure runs ls\n  perdure runs ls --limit 5 --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usageError("--limit %d: want 1 or more", limit)
			}
			return a.withRuns(cmd.Context(), f, func(e *engine) error {
				runs, err := e.List(cmd.Context(), limit)
				if err != nil {
					return err
				}
				return a.printRuns(runs, time.Now())
			})
		},
	}
	f.addRuns(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 100, "the most runs")
	return cmd
}

func (a *app) printRuns(runs []pipeline.RunInfo, now time.Time) error {
	if a.output == "json" {
		out := listed{Runs: []runJSON{}}
		for _, r := range runs {
			out.Runs = append(out.Runs, newRunJSON(r, now))
		}
		return writeJSON(a.out, out)
	}
	g := grid{rows: [][]string{{"RUN", "PIPELINE", "STATUS", "TRY", "STARTED", "TOOK", "ENGINE"}}}
	for _, r := range runs {
		length := none
		if d := lasted(r, now); d > 0 {
			length = took(d)
		}
		g.rows = append(g.rows, []string{printable(r.Run), printable(r.Pipeline), string(r.Status), strconv.Itoa(r.Try), clock(r.Started), length, r.Engine})
	}
	if len(runs) == 0 {
		a.say("No runs are remembered.")
	}
	return g.write(a.out)
}

// canceled is the JSON of runs cancel.
type canceled struct {
	Runs []runJSON `json:"runs"`
}

func (a *app) runsCancelCommand() *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "cancel RUN...",
		Short: "End runs, wherever they are at work",
		Long: "cancel ends runs: what runs is canceled, nothing else is started. The process at work on a run hears of it\n" +
			"within seconds. A run that was interrupted is not gone on with by \"perdure runs resume\" without a name any\n" +
			"more; by its name it still can be. A run that is over stays as it is: if it did not end canceled, cancel\n" +
			"exits with 1.",
		Example: "  perdure runs cancel flight-delays.2001-12-31-4f1c9ab2e0",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRuns(cmd.Context(), f, func(e *engine) error { return a.cancelRuns(cmd.Context(), e, args) })
		},
	}
	f.addRuns(cmd)
	cmd.ValidArgsFunction = a.completeRuns(&f, maxArgs, func(s pipeline.Status) bool {
		return s == pipeline.StatusRunning || s == pipeline.StatusInterrupted
	})
	return cmd
}

// maxArgs is the most names of runs that are completed in one command.
const maxArgs = 100

func (a *app) cancelRuns(ctx context.Context, e *engine, runs []string) error {
	var (
		out    = canceled{Runs: []runJSON{}}
		failed failures
	)
	for _, run := range runs {
		before, err := e.Show(ctx, run)
		if err == nil {
			err = over(before)
		}
		if err == nil {
			err = e.Cancel(ctx, run)
		}
		if err != nil {
			failed.add(run, e.explain(err, run))
			continue
		}
		after, err := e.Show(ctx, run)
		if err != nil {
			failed.add(run, e.explain(err, run))
			continue
		}
		out.Runs = append(out.Runs, newRunJSON(after, time.Now()))
	}
	if a.output == "json" {
		if err := writeJSON(a.out, out); err != nil {
			return err
		}
		return a.failAll(failed, len(runs))
	}
	for _, r := range out.Runs {
		how := "is canceled"
		if r.Status != pipeline.StatusCanceled {
			how = "is told to end: " + r.Owner + " is at work on it"
		}
		if _, err := fmt.Fprintf(a.out, "Run %s %s.\n", r.Run, how); err != nil {
			return err
		}
	}
	return a.failAll(failed, len(runs))
}

// over is the error of canceling what has ended otherwise.
func over(i pipeline.RunInfo) error {
	if i.Status == pipeline.StatusSucceeded || i.Status == pipeline.StatusFailed {
		return fmt.Errorf("run %s is over: it %s at %s", i.Run, i.Status, clock(i.Ended))
	}
	return nil
}

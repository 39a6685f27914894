package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

// The names of the engines.
const (
	engineInline   = "inline"
	engineDBOS     = "dbos"
	engineTemporal = "temporal"
)

// engineFlags say which engine runs pipelines, and where it keeps what it knows.
type engineFlags struct {
	name     string // empty: not said
	stateDir string // empty: the default
	url      string // of a PostgreSQL, instead of the state directory
	temporal temporalFlags
}

func (f *engineFlags) add(cmd *cobra.Command, engine string) {
	cmd.Flags().StringVar(&f.name, "engine", "", engine)
	cmd.Flags().StringVar(&f.url, "engine-url", "", "of dbos: keep runs in this PostgreSQL, in a schema of their own, instead of the state directory")
	f.addStateDir(cmd)
	f.temporal.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{engineInline, engineDBOS, engineTemporal}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

func (f *engineFlags) addStateDir(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "perdure's directory for what outlives a process; runs are in its directory runs (default: $PERDURE_STATE_DIR, else $XDG_STATE_HOME/perdure, else ~/.local/state/perdure)")
}

// check finds what does not fit together, before anything is started.
func (f *engineFlags) check(embedded bool) error {
	switch f.name {
	case "", engineDBOS:
	case engineInline, engineTemporal:
		if f.url != "" {
			return usageError("--engine-url is for --engine dbos")
		}
	default:
		return usageError("--engine %q: want inline, dbos or temporal", f.name)
	}
	if f.name != engineTemporal && f.temporal.given() {
		return usageError("the flags of temporal are for --engine temporal")
	}
	if f.name == engineTemporal && embedded {
		return usageError("--engine temporal and --embedded exclude each other: workers do the work, each with the database that it was given")
	}
	if f.url != "" && f.stateDir != "" {
		return usageError("--engine-url and --state-dir exclude each other: they are two places for the same runs")
	}
	if f.url != "" {
		if _, err := pgx.ParseConfig(f.url); err != nil { // the driver's text would have the password
			return &exitError{
				code: exitUsage, err: errors.New("--engine-url: this is not a connection URL that can be used"),
				hint: "--engine-url postgres://user@host:5432/database; special characters in a password as %XX",
			}
		}
	}
	return nil
}

// engine is an engine that a command works with.
type engine struct {
	pipeline.Durable

	name  string
	flags engineFlags
	// mortal says that what the engine knows ends with this process.
	mortal bool
	close  func(context.Context) error
}

// Close gives back what the engine holds.
func (e *engine) Close(ctx context.Context) error {
	if e.close == nil {
		return nil
	}
	return e.close(ctx)
}

// known is what the engine knows of a run: nothing, if its Run is empty.
func (e *engine) known(ctx context.Context, run string) (pipeline.RunInfo, error) {
	info, err := e.Show(ctx, run)
	if errors.Is(err, pipeline.ErrNoRun) {
		return pipeline.RunInfo{}, nil
	}
	return info, err
}

// goOn is the command that goes on with a run. keyed says that its pipeline has
// a key and its database stays.
func (e *engine) goOn(run string, keyed bool) string {
	switch {
	case !e.mortal:
		return "perdure runs resume " + run + e.flags.again()
	case keyed:
		return "the same command again: what was done stays done"
	}
	return ""
}

// again are the flags that lead to the same runs once more. No URL is among
// them as it is: it may have a password in it.
func (f *engineFlags) again() string {
	var b strings.Builder
	if f.stateDir != "" {
		b.WriteString(" --state-dir " + f.stateDir)
	}
	if f.url != "" {
		b.WriteString(" --engine-url URL")
	}
	if f.name == engineTemporal {
		b.WriteString(" --engine temporal" + f.temporal.again())
	}
	return b.String()
}

// explain gives an error of an engine its exit code and what to try.
func (e *engine) explain(err error, run string) error {
	if _, known := errors.AsType[*exitError](err); known {
		return err
	}
	again := e.flags.again()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pipeline.ErrNoRun):
		return &exitError{code: exitFailed, err: fmt.Errorf("run %s: %w", run, pipeline.ErrNoRun), hint: "perdure runs ls" + again}
	case errors.Is(err, pipeline.ErrRunning):
		return &exitError{code: exitFailed, err: err, hint: fmt.Sprintf(
			"perdure runs show %[1]s%[2]s; or, if that process works no more, perdure runs resume %[1]s --take-over%[2]s", run, again)}
	case errors.Is(err, pipeline.ErrPlanChanged):
		return &exitError{code: exitInvalid, err: err, hint: "another key for another run, or --force: what was done under the old plan stays as it is"}
	}
	return err
}

// inlineRuns lets the engine that remembers nothing look like one that does.
type inlineRuns struct{ env pipeline.Env }

var _ pipeline.Durable = inlineRuns{}

// Run runs the plan.
func (r inlineRuns) Run(ctx context.Context, p pipeline.Plan, o pipeline.DurableOptions) (pipeline.Report, error) {
	return pipeline.RunPlan(ctx, p, pipeline.Options{Observe: o.Observe, Stop: o.Stop, Env: r.env})
}

// Resume knows no run.
func (inlineRuns) Resume(context.Context, string, pipeline.DurableOptions) (pipeline.Report, error) {
	return pipeline.Report{}, pipeline.ErrNoRun
}

// List returns nothing.
func (inlineRuns) List(context.Context, int) ([]pipeline.RunInfo, error) { return nil, nil }

// Show knows no run.
func (inlineRuns) Show(context.Context, string) (pipeline.RunInfo, error) {
	return pipeline.RunInfo{}, pipeline.ErrNoRun
}

// Cancel knows no run.
func (inlineRuns) Cancel(context.Context, string) error { return pipeline.ErrNoRun }

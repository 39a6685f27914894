package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/pipeline"
)

// resumed is the JSON of runs resume.
type resumed struct {
	Runs []ranRun   `json:"runs"`
	Work workReport `json:"work,omitzero"`
}

func (a *app) runsResumeCommand() *cobra.Command {
	var (
		f        = workFlags{chaos: chaosFlags{level: chaos.Off}}
		takeOver bool
	)
	cmd := &cobra.Command{
		Use:   "resume [RUN...]",
		Short: "Go on with runs that were interrupted",
		Long: "resume goes on with runs, each under the plan that it was begun with: steps that are done are not run again,\n" +
			"and what the others did already is not done twice. Without a name it goes on with all that were interrupted,\n" +
			"one after the other, and exits with 0 if there are none: fit for the start of a machine, or for a timer.\n\n" +
			"By its name a run that failed or was canceled is gone on with too, as a further try. The database and the\n" +
			"environment that secrets come from must be given again: no plan has them.\n\n" +
			"A run is at work in one process. If that one is frozen, or its machine is out of reach, --take-over takes\n" +
			"the run from it; should it wake up, it can neither go on nor double anything.",
		Example: "  perdure runs resume --database-url postgres://localhost/test\n" +
			"  perdure runs resume flight-delays.2001-12-31-4f1c9ab2e0 --take-over",
		RunE: func(cmd *cobra.Command, args []string) error {
			if takeOver && len(args) == 0 {
				return usageError("--take-over needs the name of a run: a process that works is not to lose all it does")
			}
			if err := errors.Join(f.engine.check(false), f.chaos.check()); err != nil {
				return err
			}
			if f.engine.name == engineInline {
				return usageError("--engine inline remembers no runs: want dbos or temporal")
			}
			return a.resume(cmd.Context(), f, args, takeOver)
		},
	}
	f.server.addURL(cmd)
	f.engine.addRuns(cmd)
	f.addArtifacts(cmd, "")
	addMetricsFlag(cmd, &f.metrics)
	addTrailFlag(cmd, &f.audit)
	f.listen.add(cmd)
	f.chaos.add(cmd, "off, mild or severe")
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "take the run from a process that seems to live but does not work")
	cmd.ValidArgsFunction = a.completeRuns(&f.engine, maxArgs, func(s pipeline.Status) bool { return s != pipeline.StatusSucceeded })
	return cmd
}

func (a *app) resume(ctx context.Context, f workFlags, runs []string, takeOver bool) error {
	var plans []pipeline.RunInfo
	err := a.withRuns(ctx, f.engine, func(e *engine) (err error) {
		plans, err = toResume(ctx, e, runs)
		return err
	})
	if err != nil {
		return err
	}
	if len(plans) == 0 {
		a.say("No run was interrupted.")
		if a.output == "json" {
			return writeJSON(a.out, resumed{Runs: []ranRun{}})
		}
		return nil
	}
	if f.engine.name == engineTemporal {
		return a.resumeRemote(ctx, plans, f)
	}
	var (
		out    resumed
		failed failures
	)
	out.Work, err = a.work(ctx, pipelinesOf(plans), f, func(ctx context.Context, w *workshop) (err error) {
		cfg, err := f.engine.dbos()
		if err != nil {
			return err
		}
		cfg.Env, cfg.Log = w.env, engineLog(w.log)
		e, err := openDBOS(ctx, f.engine, cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
		for _, i := range plans {
			if interrupted(w.stop) {
				failed.add(i.Run, &exitError{code: exitInterrupted, err: errInterrupted, hint: e.goOn(i.Run, false)})
				continue
			}
			r, err := a.resumeHere(ctx, w, e, i, takeOver)
			if r.Run != "" {
				out.Runs = append(out.Runs, r)
			}
			if err != nil {
				failed.add(i.Run, err)
			}
		}
		return a.failAll(failed, len(plans))
	})
	if len(out.Runs) == 0 {
		return err
	}
	return errors.Join(a.printResumed(out), err)
}

// toResume returns the runs that were named, or all that were interrupted, with
// their plans.
func toResume(ctx context.Context, e *engine, runs []string) (out []pipeline.RunInfo, err error) {
	if len(runs) == 0 {
		const most = 10000
		all, err := e.List(ctx, most)
		if err != nil {
			return nil, err
		}
		for _, i := range slices.Backward(all) { // the oldest first
			if i.Status == pipeline.StatusInterrupted {
				runs = append(runs, i.Run)
			}
		}
	}
	for _, run := range runs {
		i, err := e.Show(ctx, run)
		if err != nil {
			return nil, e.explain(err, run)
		}
		out = append(out, i)
	}
	return out, nil
}

// pipelinesOf are the names of the runs' pipelines, each once.
func pipelinesOf(runs []pipeline.RunInfo) []string {
	names := make([]string, len(runs))
	for i, r := range runs {
		names[i] = r.Pipeline
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// resumeHere goes on with one run in this process.
func (a *app) resumeHere(ctx context.Context, w *workshop, e *engine, i pipeline.RunInfo, takeOver bool) (ranRun, error) {
	say(w.show, "%s, pipeline %s, run %s, %s", w.server.version, i.Pipeline, i.Run, i.Status)
	_, held, err := builtin.HeldPlan(ctx, w.guarded.db, i.Run)
	if err == nil && !held {
		err = errOtherDatabase(i.Run)
	}
	if err != nil {
		return ranRun{}, err
	}
	return a.follow(ctx, w, following{e, planOf(i), i, pipeline.DurableOptions{TakeOver: takeOver}, true},
		func(ctx context.Context, o pipeline.DurableOptions) (pipeline.Report, error) {
			return e.Resume(ctx, i.Run, o)
		})
}

func (a *app) printResumed(r resumed) error {
	if a.output == "json" {
		return writeJSON(a.out, r)
	}
	for n, run := range r.Runs {
		if n > 0 {
			if _, err := a.out.Write([]byte("\n")); err != nil {
				return err
			}
		}
		if n == len(r.Runs)-1 {
			run.Work = r.Work
		}
		if err := a.printRan(run); err != nil {
			return err
		}
	}
	return nil
}

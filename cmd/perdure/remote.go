package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// openTemporal opens the engine whose runs are done by workers.
func openTemporal(ctx context.Context, f engineFlags, log *slog.Logger) (*engine, error) {
	cfg, err := f.temporal.config(warnings(log))
	if err != nil {
		return nil, err
	}
	e, err := perduretemporal.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &engine{Durable: e, name: engineTemporal, flags: f, close: func(context.Context) error { e.Close(); return nil }}, nil
}

// patience is how long an interrupted run may take to end on its workers. Who
// waits for it can leave it by a second signal: it ends all the same.
const patience = 24 * time.Hour

// checkRemote refuses what is for the process that does the work, and that is
// not this one.
func (f *workFlags) checkRemote() error {
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"--database-url", f.server.url != ""},
		{"--chaos", f.chaos.level != chaos.Off},
		{"--artifacts", f.artifacts != ""},
		{"--listen", f.listen.addr != ""},
		{"--audit-dir", f.audit != ""},
	} {
		if flag.given {
			return usageError("%s is for whoever does the work: with --engine temporal that is \"perdure worker\"", flag.name)
		}
	}
	return nil
}

// remotely lets an engine work on runs elsewhere while this process watches.
func (a *app) remotely(ctx context.Context, f workFlags, pipelines []string, do func(context.Context, *workshop, *engine) error) (err error) {
	if err := f.checkRemote(); err != nil {
		return err
	}
	w := &workshop{show: newDisplay(a.err), faults: peace().counts}
	if w.metrics, err = newMetricsFile(f.metrics, pipelines...); err != nil {
		return err
	}
	defer func() { err = w.metrics.write(err) }()
	ctx, stop, release := onSignal(ctx, patience, func() {
		say(w.show, "\nperdure: interrupted: the run ends when what is at work has ended; once more leaves it to do so alone")
	})
	defer release()
	w.stop = stop
	w.log = slog.New(slog.NewTextHandler(w.show, nil))
	e, err := openTemporal(ctx, f.engine, w.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	defer w.show.close()
	return do(ctx, w, e)
}

// runRemote lets workers run the plan, and waits for its end.
func (a *app) runRemote(ctx context.Context, plan pipeline.Plan, f workFlags, force bool) error {
	var r ranRun
	err := a.remotely(ctx, f, []string{plan.Pipeline}, func(ctx context.Context, w *workshop, e *engine) (err error) {
		before, err := e.known(ctx, plan.Run)
		if err != nil {
			return err
		}
		say(w.show, "Temporal at %s, pipeline %s, run %s. Its steps are done by the workers of the task queue %s: perdure worker --temporal %s",
			f.engine.temporal.where(), plan.Pipeline, plan.Run, f.engine.temporal.taskQueue(), f.engine.temporal.where())
		r, err = a.follow(ctx, w, following{e, plan, before, pipeline.DurableOptions{Force: force}, true}, func(ctx context.Context, o pipeline.DurableOptions) (pipeline.Report, error) {
			return e.Run(ctx, plan, o)
		})
		return err
	})
	if r.Run == "" {
		return err
	}
	return errors.Join(err, a.printRan(r))
}

// resumeRemote lets workers go on with runs, and waits for their end.
func (a *app) resumeRemote(ctx context.Context, runs []pipeline.RunInfo, f workFlags) error {
	var (
		out    resumed
		failed failures
	)
	err := a.remotely(ctx, f, pipelinesOf(runs), func(ctx context.Context, w *workshop, e *engine) error {
		for _, i := range runs {
			if interrupted(w.stop) {
				failed.add(i.Run, &exitError{code: exitInterrupted, err: errInterrupted, hint: e.goOn(i.Run, true)})
				continue
			}
			say(w.show, "Temporal at %s, pipeline %s, run %s, %s", f.engine.temporal.where(), i.Pipeline, i.Run, i.Status)
			r, err := a.follow(ctx, w, following{e, planOf(i), i, pipeline.DurableOptions{}, true}, func(ctx context.Context, o pipeline.DurableOptions) (pipeline.Report, error) {
				return e.Resume(ctx, i.Run, o)
			})
			if r.Run != "" {
				out.Runs = append(out.Runs, r)
			}
			if err != nil {
				failed.add(i.Run, err)
			}
		}
		return a.failAll(failed, len(runs))
	})
	if len(out.Runs) == 0 {
		return err
	}
	return errors.Join(a.printResumed(out), err)
}

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/perduretemporal"
)

func (a *app) workerCommand() *cobra.Command {
	var (
		f        = workFlags{chaos: chaosFlags{level: chaos.Off}, engine: engineFlags{name: engineTemporal}}
		parallel int
	)
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Do the steps of runs that Temporal hands out",
		Long: "worker does the work of pipelines that are run with --engine temporal: it takes steps from the cluster's task\n" +
			"queue until it is told to end. Start as many as you like, on any number of machines, each with the same\n" +
			"database and the same secrets in its environment. When one is lost, another does its steps again, and what\n" +
			"they did already is not done twice.\n\n" +
			"The first SIGINT or SIGTERM lets running steps end (10 s at most; another worker does those that do not), and\n" +
			"the exit code is 0; the second one ends it at once.\n\n" +
			"There are no workers for the engine dbos: there a run is at work in the process that runs it. \"perdure runs\n" +
			"resume\" goes on with all runs that were interrupted: let a timer, or the start of the machine, call it.",
		Example: "  perdure worker --temporal 127.0.0.1:7233 --database-url postgres://localhost/test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.engine.temporal.addr == "" {
				return &exitError{
					code: exitUsage, err: errors.New("--temporal is missing: workers are for Temporal alone"),
					hint: "--temporal HOST:PORT; to go on with interrupted runs of the engine dbos: perdure runs resume",
				}
			}
			if parallel < 1 {
				return usageError("--parallel %d: want 1 or more", parallel)
			}
			return a.worker(cmd.Context(), f, parallel)
		},
	}
	f.server.addURL(cmd)
	f.engine.temporal.add(cmd)
	f.engine.addStateDir(cmd)
	f.addArtifacts(cmd, "")
	f.listen.add(cmd)
	cmd.Flags().IntVar(&parallel, "parallel", 16, "the most steps, or items of steps, at once")
	return cmd
}

func (a *app) worker(ctx context.Context, f workFlags, parallel int) error {
	_, err := a.work(ctx, nil, f, func(ctx context.Context, w *workshop) (err error) {
		cfg, err := f.engine.temporal.config(warnings(w.log))
		if err != nil {
			return err
		}
		e, err := perduretemporal.Open(ctx, cfg)
		if err != nil {
			return err
		}
		defer e.Close()
		w.panel.remember(e)
		defer w.panel.remember(nil)
		worker, err := perduretemporal.NewWorker(e, perduretemporal.WorkerConfig{Env: w.env, Parallel: parallel, Drain: grace})
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			select {
			case <-w.stop:
				stop()
			case <-ctx.Done():
			}
		}()
		say(w.show, "%s. Working for Temporal at %s, task queue %s, up to %d steps at once", w.server.version, f.engine.temporal.where(), f.engine.temporal.taskQueue(), parallel)
		return worker.Run(ctx)
	})
	return err
}

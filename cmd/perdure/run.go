package main

import (
	"github.com/spf13/cobra"

	"github.com/perdure/perdure/internal/chaos"
)

// workFlags say where and how a command runs the steps of pipelines.
type workFlags struct {
	server  serverFlags
	listen  listenFlags
	chaos   chaosFlags
	engine  engineFlags
	metrics string
	audit   string // directory of a trail. Empty: none is kept.
	// artifacts is the directory for files of the steps. Empty: in the state
	// directory.
	artifacts string
}

func (f *workFlags) addArtifacts(cmd *cobra.Command, of string) {
	cmd.Flags().StringVar(&f.artifacts, "artifacts", "", of+"directory for what steps write (default: artifacts in the state directory)")
}

func (a *app) runCommand() *cobra.Command {
	var (
		f   = workFlags{chaos: chaosFlags{level: chaos.Off}}
		own fileRun
		fly flightsRun
	)
	cmd := &cobra.Command{
		Use:   "run PIPELINE",
		Short: "Run a pipeline: a file in YAML, or flights",
		Long: "run runs a pipeline: a file FILE.yaml (docs/pipelines.md), or one that is part of this program: flights.\n\n" +
			"A run of a file whose pipeline has a key is one run: started again after it has succeeded, its result is\n" +
			"printed and nothing is run; started again after it was interrupted or has failed, it is gone on with.\n\n" +
			"The engine is dbos unless --engine names another: it remembers in the state directory which steps are done,\n" +
			"so that \"perdure runs resume\" goes on with a run whose process is gone, even after kill -9. On a private\n" +
			"server (--embedded), which is removed at the end, there is nothing to go on with: the engine is inline,\n" +
			"which remembers nothing. --engine temporal hands the run to workers: see \"perdure worker\".\n\n" +
			"Ctrl-C lets running transactions end, starts nothing else, and says how to go on.\n\n" +
			"Of flights the tables stay, on a server of yours, in a schema that is named after the input. The same\n" +
			"command again is the same run: what was done stays done, what was not is done.",
		Example: "  perdure run pipeline.yaml --param day=2001-12-31 --database-url postgres://localhost/test\n" +
			"  perdure run pipeline.yaml --embedded --chaos severe\n" +
			"  perdure run pipeline.yaml --engine temporal --temporal 127.0.0.1:7233\n" +
			"  perdure run flights --embedded --chaos severe --seed 7 --output json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completePipelines,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.chaos.check(); err != nil {
				return err
			}
			if isPipelineFile(args[0]) {
				if err := notFor(cmd, "is for the pipeline flights", "naive", "flights"); err != nil {
					return err
				}
				return a.runFile(cmd.Context(), args[0], f, own)
			}
			if args[0] != "flights" {
				return usageError("no pipeline is named %q: want a file FILE.yaml, or flights", args[0])
			}
			if err := notFor(cmd, "is for a file FILE.yaml", "engine", "engine-url", "temporal", "param", "force", "artifacts"); err != nil {
				return err
			}
			return a.runFlights(cmd.Context(), f, fly)
		},
	}
	f.server.add(cmd)
	f.engine.add(cmd, "of a file: inline, dbos or temporal (default: dbos, and inline on a private server)")
	own.add(cmd)
	f.addArtifacts(cmd, "of a file: ")
	addMetricsFlag(cmd, &f.metrics)
	addTrailFlag(cmd, &f.audit)
	f.listen.add(cmd)
	f.chaos.add(cmd, "off, mild or severe")
	fly.add(cmd)
	return cmd
}

// notFor refuses flags that the command has, and that mean nothing here.
func notFor(cmd *cobra.Command, what string, flags ...string) error {
	for _, flag := range flags {
		if cmd.Flags().Changed(flag) {
			return usageError("--%s %s", flag, what)
		}
	}
	return nil
}

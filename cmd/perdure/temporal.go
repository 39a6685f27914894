package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

// temporalFlags say where Temporal is.
type temporalFlags struct {
	addr, namespace, queue string
}

func (f *temporalFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.addr, "temporal", "127.0.0.1:7233", "of temporal: HOST:PORT of the cluster")
	cmd.Flags().StringVar(&f.namespace, "temporal-namespace", "default", "of temporal: the namespace")
	cmd.Flags().StringVar(&f.queue, "temporal-queue", "perdure", "of temporal: the task queue, which the workers share")
}

func (f *temporalFlags) again() string { return " --temporal " + f.addr }

func openTemporal(context.Context, engineFlags, *slog.Logger) (*engine, error) {
	return nil, errors.New("not yet")
}

func (a *app) runRemote(context.Context, pipeline.Plan, workFlags, bool) error {
	return errors.New("not yet")
}

func (a *app) resumeRemote(context.Context, []pipeline.RunInfo, workFlags, bool) error {
	return errors.New("not yet")
}

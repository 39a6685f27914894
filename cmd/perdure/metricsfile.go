package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/perdure/perdure/perdureprom"
	"github.com/perdure/perdure/pipeline"
)

// metricsFile is what --metrics-file asks for: the metrics of a run, written at
// its end, for nobody can scrape a program that has ended. All its methods do
// nothing if there is no file to write.
type metricsFile struct {
	path      string
	names     []string // of the pipelines
	registry  *prometheus.Registry
	pipelines *perdureprom.Pipelines
	ran       bool
}

func addMetricsFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "metrics-file", "", "write metrics here at the end, for the textfile collector of the node exporter, which reads *.prom")
}

// newMetricsFile prepares the file of runs of these pipelines. That it cannot be
// written is better known before the work than after it.
func newMetricsFile(path string, pipelines ...string) (*metricsFile, error) {
	f := &metricsFile{path: path, names: pipelines}
	if path == "" {
		return f, nil
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usageError("--metrics-file %s: %s is no directory", path, dir)
	}
	f.registry, f.pipelines = prometheus.NewRegistry(), perdureprom.NewPipelines()
	for _, name := range pipelines {
		f.pipelines.Declare(name)
	}
	return f, f.registry.Register(f.pipelines)
}

// guards adds the metrics of a Manager and its pool.
func (f *metricsFile) guards(g *guarded) error {
	if f.registry == nil {
		return nil
	}
	c, err := perdureprom.New(g.manager)
	if err != nil {
		return err
	}
	return errors.Join(f.registry.Register(c), f.registry.Register(perdureprom.NewPool(g.manager.Name(), g.db.Pool().Stat)))
}

// took counts a run of the pipeline.
func (f *metricsFile) took(r pipeline.Report) {
	if f.registry == nil || r.Pipeline == "" {
		return
	}
	f.ran = true
	for _, s := range r.Steps {
		if !s.Started.IsZero() {
			f.pipelines.StepEnded(r.Pipeline, s.Name, string(s.Status), s.Duration)
		}
	}
	f.pipelines.RunEnded(r.Pipeline, string(r.Status), r.Started.Add(r.Duration))
}

// write writes the file at the end of a command that ends with err. A run that
// failed before its first step failed all the same.
func (f *metricsFile) write(err error) error {
	if f.registry == nil {
		return err
	}
	if !f.ran && err != nil {
		status := pipeline.StatusFailed
		if e, ok := errors.AsType[*exitError](err); ok && e.code == exitInterrupted {
			status = pipeline.StatusCanceled
		}
		for _, name := range f.names {
			f.pipelines.RunEnded(name, string(status), time.Now())
		}
	}
	if fault := perdureprom.WriteFile(f.path, f.registry); fault != nil {
		return errors.Join(err, fmt.Errorf("writing --metrics-file: %w", fault))
	}
	return err
}

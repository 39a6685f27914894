package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// durable runs examples/flights/pipeline.yaml on an engine that remembers, in a
// directory that is removed afterwards: whatever ends is stored there, in SQLite, before the run goes on.
func (j job) durable(ctx context.Context, db *perdurepgx.DB, observe func(pipeline.Event)) (_ pipeline.Report, err error) {
	dir, err := os.MkdirTemp("", "perdure-run-")
	if err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files := filepath.Join(dir, "flights")
	if err := os.CopyFS(files, flights.Files()); err != nil {
		return pipeline.Report{}, err
	}
	d, err := flights.YAML(files)
	if err != nil {
		return pipeline.Report{}, err
	}
	params := map[string]string{}
	if j.input != "" {
		if params["flights"], err = filepath.Abs(j.input); err != nil {
			return pipeline.Report{}, err
		}
	}
	plan, err := d.Freeze(j.place.run, params)
	if err != nil {
		return pipeline.Report{}, err
	}
	loader, err := component.New(component.Config{
		Grace: methodGrace, Factories: append(builtin.Factories(builtin.Config{DB: db}), flights.Factory(db)),
	})
	if err != nil {
		return pipeline.Report{}, err
	}
	if err := loader.Start(ctx); err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, loader.Stop(context.WithoutCancel(ctx))) }()
	engine, err := perduredbos.Open(ctx, perduredbos.Config{Dir: filepath.Join(dir, "runs"), Env: pipeline.Env{Invoker: loader}})
	if err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	watched := j.shown.watch(runs.Begin{Plan: plan, Engine: engineDBOS}, j.trail.sink())
	count := byItems(observe)
	report, err := engine.Run(ctx, plan, pipeline.DurableOptions{
		Observe: func(e pipeline.Event) { count(e); watched.Observe(e) }, Stop: j.stop,
	})
	watched.End(report, err)
	return report, err
}

// byItems lets a display count tasks: a step without items is one, whatever it
// tells about its parts.
func byItems(observe func(pipeline.Event)) func(pipeline.Event) {
	return func(e pipeline.Event) {
		if e.Kind == pipeline.EventProgress && e.Item == "" {
			return
		}
		observe(e)
	}
}

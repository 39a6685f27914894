package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/pipeline"
)

// fileRun is what "run FILE" is told beside all that is told to any run.
type fileRun struct {
	params []string
	force  bool
}

func (r *fileRun) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&r.params, "param", "p", nil, "of a file: NAME=VALUE, once for each")
	cmd.Flags().BoolVar(&r.force, "force", false, "of a file: go on with a run that was begun with another plan; what was done stays done")
}

func isPipelineFile(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// freeze reads the file and says what the run does.
func (r *fileRun) freeze(file string) (pipeline.Definition, pipeline.Plan, error) {
	d, err := readPipeline(file)
	if err != nil {
		return d, pipeline.Plan{}, invalidFile(err)
	}
	values, err := r.values(d)
	if err != nil {
		return d, pipeline.Plan{}, err
	}
	run, err := d.RunID(values)
	if err != nil {
		return d, pipeline.Plan{}, &exitError{code: exitUsage, err: err}
	}
	plan, err := d.Freeze(run, values)
	return d, plan, err
}

// values reads the parameters by their types.
func (r *fileRun) values(d pipeline.Definition) (map[string]json.RawMessage, error) {
	given := make(map[string]json.RawMessage, len(r.params))
	types := make(map[string]pipeline.ParamType, len(d.Params))
	for _, p := range d.Params {
		types[p.Name] = p.Type
	}
	for _, text := range r.params {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usageError("--param %q: want NAME=VALUE", text)
		}
		if _, twice := given[name]; twice {
			return nil, usageError("--param %s: given twice", name)
		}
		raw, err := types[name].ParseParam(value)
		if err != nil {
			return nil, usageError("--param %s: %w", name, err)
		}
		given[name] = raw
	}
	values, err := d.Values(given)
	if err != nil {
		return nil, &exitError{code: exitUsage, hint: "--param NAME=VALUE", err: err}
	}
	return values, nil
}

// runFile runs a pipeline from a file to its end.
func (a *app) runFile(ctx context.Context, file string, f workFlags, own fileRun) error {
	d, plan, err := own.freeze(file)
	if err != nil {
		return err
	}
	if err := f.engine.check(f.server.embedded); err != nil {
		return err
	}
	if f.engine.name == engineTemporal {
		return a.runRemote(ctx, plan, f, own.force)
	}
	var r ranRun
	r.Work, err = a.work(ctx, []string{d.Name}, f, func(ctx context.Context, w *workshop) error {
		say(w.show, "%s, pipeline %s, run %s", w.server.version, d.Name, plan.Run)
		var err error
		r, err = a.runHere(ctx, w, f, plan, d.Key != "", own.force)
		return err
	})
	if r.Run == "" { // nothing was begun
		return err
	}
	return errors.Join(err, a.printRan(r))
}

// runHere lets an engine of this process run the plan.
func (a *app) runHere(ctx context.Context, w *workshop, f workFlags, plan pipeline.Plan, keyed, force bool) (r ranRun, err error) {
	e, err := a.openEngine(ctx, f.engine, w)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	before, err := e.known(ctx, plan.Run)
	if err != nil {
		return r, err
	}
	if keyed || !e.mortal {
		if err := w.holdPlan(ctx, plan, before, force); err != nil {
			return r, e.explain(err, plan.Run)
		}
	}
	return a.follow(ctx, w, following{e, plan, before, pipeline.DurableOptions{Force: force}, keyed && w.server.cluster == nil},
		func(ctx context.Context, o pipeline.DurableOptions) (pipeline.Report, error) {
			return e.Run(ctx, plan, o)
		})
}

// holdPlan keeps the plan beside the effects of the run, and refuses to work on a
// database that is not the one which the run was begun on, or under a plan that has changed.
// What the engine knows of the plan is the engine's to compare.
func (w *workshop) holdPlan(ctx context.Context, plan pipeline.Plan, before pipeline.RunInfo, force bool) error {
	was, held, err := builtin.HeldPlan(ctx, w.guarded.db, plan.Run)
	switch {
	case err != nil:
		return err
	case before.Run != "" && !held:
		return errOtherDatabase(plan.Run)
	case held && (before.Run != "" || force):
		return nil
	case held:
		return was.Same(plan)
	}
	return builtin.HoldPlan(ctx, w.guarded.db, plan)
}

// errOtherDatabase is the error of a run that was begun on another database: its
// effects are not in this one, and the engine would not do them again.
func errOtherDatabase(run string) error {
	return &exitError{
		code: exitFailed, err: fmt.Errorf("run %s was begun on another database: this one knows nothing of it", run),
		hint: "the database that it was begun on, or for a run of its own on this one, a state directory of its own: --state-dir DIR",
	}
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

// errCanceledElsewhere is what somebody did who ran "perdure runs cancel".
var errCanceledElsewhere = errors.New("it was canceled")

// following is one run that is begun, or gone on with.
type following struct {
	engine *engine
	plan   pipeline.Plan
	// before is what the engine knew of it: its Run is empty if that was nothing.
	before  pipeline.RunInfo
	options pipeline.DurableOptions
	// again says that the same command would go on with it.
	again bool
}

// follow watches the run to its end, and says how it ended. The report is as
// complete as can be, also beside an error.
func (a *app) follow(ctx context.Context, w *workshop, f following, do func(context.Context, pipeline.DurableOptions) (pipeline.Report, error)) (ranRun, error) {
	run := f.plan.Run
	already := f.before.Status == pipeline.StatusSucceeded && !f.options.Force
	if already {
		say(w.show, "Run %s has succeeded already, at %s: this is its result, and nothing is run.", run, clock(f.before.Ended))
	}
	if !f.engine.mortal {
		w.panel.remember(f.engine)
		defer w.panel.remember(nil)
	}
	report, err := w.attend(ctx, f.begin(), f.options, do)
	r := newRanRun(report, f.engine.name, err)
	r.Already = already && err == nil
	switch {
	case err == nil:
		return r, nil
	case interrupted(w.stop):
		return r, &exitError{code: exitInterrupted, err: err, hint: f.engine.goOn(run, f.again)}
	case errors.Is(err, context.Canceled):
		return r, &exitError{code: exitFailed, err: fmt.Errorf("run %s: %w", run, errCanceledElsewhere), hint: f.engine.goOn(run, f.again)}
	}
	return r, f.engine.explain(err, run)
}

// begin is how this process comes to work on the run.
func (f *following) begin() runs.Begin {
	b := runs.Begin{Plan: f.plan, Engine: f.engine.name, Try: f.before.Try}
	switch {
	case f.before.Run == "":
		return b
	case f.options.TakeOver:
		b.How = runs.TakenOver
	default:
		b.How = runs.Resumed
	}
	if f.before.Status == pipeline.StatusFailed || f.before.Status == pipeline.StatusCanceled {
		b.Try++
	}
	return b
}

// planOf is the plan of a run that the engine knows.
func planOf(i pipeline.RunInfo) pipeline.Plan {
	if i.Plan == nil {
		return pipeline.Plan{Pipeline: i.Pipeline, Run: i.Run}
	}
	return *i.Plan
}

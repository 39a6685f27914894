package perduredbos

import (
	"context"
	"fmt"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/perdure/perdure/pipeline"
)

// Run runs the plan to its end, or goes on with it: see [pipeline.Durable]. It also returns
// [ErrTakenOver] and [ErrCanceled]. What ended before an error is remembered.
func (e *Engine) Run(ctx context.Context, p pipeline.Plan, o pipeline.DurableOptions) (pipeline.Report, error) {
	if err := e.runnable(p); err != nil {
		return pipeline.Report{}, err
	}
	return e.run(ctx, p.Run, &p, o)
}

// runnable returns what is wrong with the plan, with the functions that this process has for it: a run
// that nobody could run is not begun.
func (e *Engine) runnable(p pipeline.Plan) error {
	d := p.Definition()
	if e.cfg.Env.Pipeline != nil {
		own, _ := e.cfg.Env.Pipeline(p.Pipeline)
		for i := range d.Steps {
			for _, s := range own.Steps {
				if s.Name == d.Steps[i].Name {
					d.Steps[i].Do, d.Steps[i].Items = s.Do, s.Items
				}
			}
		}
	}
	return d.Validate()
}

// Resume goes on with a run: see [pipeline.Durable]. A run whose process is gone can be
// resumed at once.
func (e *Engine) Resume(ctx context.Context, run string, o pipeline.DurableOptions) (pipeline.Report, error) {
	return e.run(ctx, run, nil, o)
}

// run begins or goes on with a run. Without a plan, it must have been begun.
func (e *Engine) run(ctx context.Context, run string, p *pipeline.Plan, o pipeline.DurableOptions) (pipeline.Report, error) {
	if err := e.begin(); err != nil {
		return pipeline.Report{}, err
	}
	defer e.active.Done()
	if there, err := e.state.there(ctx); err != nil || !there && p == nil {
		if err == nil {
			err = noRun(run)
		}
		return pipeline.Report{}, err
	}
	if err := e.prepare(ctx); err != nil {
		return pipeline.Report{}, err
	}
	release, ok, err := e.state.claim(ctx, run)
	if err != nil {
		return pipeline.Report{}, err
	}
	if !ok && !o.TakeOver {
		release()
		return pipeline.Report{}, running(run, "")
	}
	w, done, err := e.decide(ctx, run, p, o)
	if err != nil || w == nil {
		release()
		return done, err
	}
	w.o = o
	return e.work(ctx, w, release)
}

// decide says what there is to do of a run: a worker for a try of it, or nothing
// but to return its report.
func (e *Engine) decide(ctx context.Context, run string, p *pipeline.Plan, o pipeline.DurableOptions) (*worker, pipeline.Report, error) {
	r, err := e.newest(ctx, run, true)
	if err != nil {
		return nil, pipeline.Report{}, err
	}
	if r == nil {
		if p == nil {
			return nil, pipeline.Report{}, noRun(run)
		}
		return first(*p), pipeline.Report{}, nil
	}
	in, err := r.plan()
	if err != nil {
		return nil, pipeline.Report{}, err
	}
	changed := false
	if p != nil {
		if err := in.Plan.Same(*p); err != nil {
			if !o.Force {
				return nil, pipeline.Report{}, err
			}
			changed = true
		}
	}
	if !r.over() {
		lives, err := e.state.alive(ctx, r.executor)
		if err != nil {
			return nil, pipeline.Report{}, err
		}
		if lives && !o.TakeOver {
			return nil, pipeline.Report{}, running(run, ownerOf(r.executor))
		}
		if !changed {
			return &worker{row: *r, again: true}, pipeline.Report{}, nil
		}
		if err := e.Cancel(ctx, run); err != nil { // what was done under the old plan is final now
			return nil, pipeline.Report{}, err
		}
		r.status = dbos.WorkflowStatusCancelled
	}
	report, err := e.report(ctx, r, in)
	if err != nil {
		return nil, pipeline.Report{}, err
	}
	if r.status == dbos.WorkflowStatusSuccess && !changed {
		return nil, report, nil
	}
	if !changed {
		p = &in.Plan
	}
	return r.further(*p, report), pipeline.Report{}, nil
}

// first is the worker for a run that is new.
func first(p pipeline.Plan) *worker {
	now := time.Now().UTC().Round(0)
	return &worker{row: row{run: p.Run, try: 1, pipeline: p.Pipeline, began: now}, in: input{Plan: p}}
}

// further is the worker for the try after this one, which is over.
func (r *row) further(p pipeline.Plan, report pipeline.Report) *worker {
	settle(&report, pipeline.StatusCanceled)
	return &worker{row: row{run: r.run, try: r.try + 1, pipeline: p.Pipeline, began: r.began}, in: input{Plan: p, Earlier: &report}}
}

func running(run, owner string) error {
	if owner != "" {
		owner = ", " + owner
	}
	return fmt.Errorf("run %s: %w%s", run, pipeline.ErrRunning, owner)
}

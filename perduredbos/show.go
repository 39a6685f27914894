package perduredbos

import (
	"context"
	"fmt"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/perdure/perdure/pipeline"
)

const engineName = "dbos"

// List returns the newest limit runs, the newest first. It does not need to be the only
// process at the state, and makes nothing of it.
func (e *Engine) List(ctx context.Context, limit int) ([]pipeline.RunInfo, error) {
	if limit <= 0 {
		limit = 100
	}
	c, err := e.reader(ctx)
	if err != nil || c == nil {
		return nil, err
	}
	var (
		runs = make([]pipeline.RunInfo, 0, limit)
		seen = make(map[string]bool)
		live = e.pulse()
		page = limit + limit/2
	)
	for offset := 0; ; offset += page {
		found, err := dbos.ListWorkflows(c, dbos.WithFilterName(workflowName), dbos.WithFilterSortDesc(),
			dbos.WithFilterLimit(page), dbos.WithFilterOffset(offset), dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
		if err != nil {
			return nil, e.state.fault(err)
		}
		for _, w := range found {
			r, ok := rowOf(w)
			if !ok || seen[r.run] {
				continue // an earlier try
			}
			seen[r.run] = true
			info, err := r.info(ctx, live)
			if err != nil {
				return nil, err
			}
			if runs = append(runs, info); len(runs) == limit {
				return runs, nil
			}
		}
		if len(found) < page {
			return runs, nil
		}
	}
}

// Show returns what is known of a run, with its plan and its report, which of a
// run that is not over says how far it came. The error is [pipeline.ErrNoRun] if there is none.
func (e *Engine) Show(ctx context.Context, run string) (pipeline.RunInfo, error) {
	r, err := e.newest(ctx, run, true)
	if err != nil {
		return pipeline.RunInfo{}, err
	}
	if r == nil {
		return pipeline.RunInfo{}, noRun(run)
	}
	info, err := r.info(ctx, e.pulse())
	if err != nil {
		return info, err
	}
	in, err := r.plan()
	if err != nil {
		return info, err
	}
	report, err := e.report(ctx, r, in)
	if err != nil {
		return info, err
	}
	settle(&report, info.Status)
	info.Plan, info.Report = &in.Plan, &report
	return info, nil
}

func noRun(run string) error { return fmt.Errorf("run %s: %w", run, pipeline.ErrNoRun) }

// pulse returns a func that says whether an executor lives, and asks once for each.
func (e *Engine) pulse() func(context.Context, string) (bool, error) {
	known := make(map[string]bool)
	return func(ctx context.Context, executor string) (bool, error) {
		if lives, ok := known[executor]; ok {
			return lives, nil
		}
		lives, err := e.state.alive(ctx, executor)
		if err == nil {
			known[executor] = lives
		}
		return lives, err
	}
}

func (r *row) info(ctx context.Context, alive func(context.Context, string) (bool, error)) (pipeline.RunInfo, error) {
	info := pipeline.RunInfo{
		Run: r.run, Pipeline: r.pipeline, Engine: engineName, Try: r.try, Owner: ownerOf(r.executor), Started: r.began, Ended: r.ended,
	}
	switch r.status { // the others are of runs that are not over
	case dbos.WorkflowStatusSuccess:
		info.Status = pipeline.StatusSucceeded
	case dbos.WorkflowStatusError:
		info.Status = pipeline.StatusFailed
	case dbos.WorkflowStatusCancelled:
		info.Status = pipeline.StatusCanceled
	default:
		info.Status = pipeline.StatusInterrupted
		lives, err := alive(ctx, r.executor)
		if err != nil {
			return info, err
		}
		if lives {
			info.Status = pipeline.StatusRunning
		}
	}
	return info, nil
}

// settle makes a report that was made of records one of a run with that status:
// what was at work in a run that is over was canceled.
func settle(r *pipeline.Report, status pipeline.Status) {
	r.Status = status
	if status == pipeline.StatusRunning || status == pipeline.StatusInterrupted {
		return
	}
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Status == pipeline.StatusRunning || s.Status == pipeline.StatusPending {
			s.Status = pipeline.StatusCanceled
			s.Duration = max(0, s.Duration)
		}
	}
}

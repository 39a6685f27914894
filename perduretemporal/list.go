package perduretemporal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/perdure/perdure/pipeline"
)

// List returns the newest limit runs, by the start of their last try, the newest
// first. A run appears a moment after it began, and what is said of it may be a moment old.
func (e *Engine) List(ctx context.Context, limit int) ([]pipeline.RunInfo, error) {
	if limit <= 0 {
		limit = 100
	}
	const day = 24 * time.Hour
	for window := day; ; window *= 8 {
		var since time.Time
		if window < 10*365*day {
			since = time.Now().Add(-window)
		}
		runs, err := e.since(ctx, since)
		if err != nil {
			return nil, err
		}
		if len(runs) >= limit || since.IsZero() {
			return runs[:min(limit, len(runs))], nil
		}
	}
}

// since returns the runs whose last try began since then, the newest first.
func (e *Engine) since(ctx context.Context, since time.Time) ([]pipeline.RunInfo, error) {
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus != 'ContinuedAsNew'", workflowName)
	if !since.IsZero() {
		query += fmt.Sprintf(" AND StartTime >= '%s'", since.UTC().Format(time.RFC3339))
	}
	last := make(map[string]pipeline.RunInfo)
	var page []byte
	for {
		r, err := e.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000, NextPageToken: page})
		if err != nil {
			return nil, fmt.Errorf("list of runs: %w", err)
		}
		for _, w := range r.GetExecutions() {
			i := e.info(w)
			if was, there := last[i.Run]; (!there || was.Started.Before(i.Started)) && !i.Started.Before(since) {
				last[i.Run] = i
			}
		}
		if page = r.GetNextPageToken(); len(page) == 0 {
			break
		}
	}
	runs := make([]pipeline.RunInfo, 0, len(last))
	for _, i := range last {
		runs = append(runs, i)
	}
	slices.SortFunc(runs, func(a, b pipeline.RunInfo) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Run, b.Run))
	})
	return runs, nil
}

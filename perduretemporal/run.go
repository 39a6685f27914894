package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure/perdure/pipeline"
)

// Run starts the plan on the cluster and waits for its end. A run that is at
// work already is not started again but waited for, whoever began it: it belongs to the cluster, not to a process. The
// rest is as [pipeline.Durable] says; DurableOptions.TakeOver has no meaning
// here, since the server itself gives the tasks of a lost worker to another.
//
// When ctx ends, the run is canceled; Run then waits for its tasks as long as a heartbeat takes, and
// a little more. When DurableOptions.Stop is closed, tasks at work end, no other begins, and the run is
// interrupted. To leave a run alone instead, end the process, or do not wait for Run.
func (e *Engine) Run(ctx context.Context, p pipeline.Plan, o pipeline.DurableOptions) (pipeline.Report, error) {
	return e.enter(ctx, p.Run, &p, o)
}

// Resume goes on with a run, as [pipeline.Durable] says, and as Run does.
func (e *Engine) Resume(ctx context.Context, run string, o pipeline.DurableOptions) (pipeline.Report, error) {
	return e.enter(ctx, run, nil, o)
}

// enter finds or begins a try and waits for its end. A server that does not
// answer is asked again until ctx ends: whatever was asked for may be done, and is then found.
func (e *Engine) enter(ctx context.Context, run string, p *pipeline.Plan, o pipeline.DurableOptions) (pipeline.Report, error) {
	for {
		runID, err := e.find(ctx, run, p, o.Force)
		switch {
		case err == nil:
			return e.attach(ctx, run, runID, o)
		case ctx.Err() != nil:
			return pipeline.Report{}, named(run, context.Cause(ctx))
		case taken(err): // by another process, meanwhile
			continue
		case !passing(err):
			return pipeline.Report{}, err
		}
		e.log.WarnContext(ctx, "temporal: the server does not answer, it is asked again", slog.String("run", run), slog.Any("error", err))
		if err := pause(ctx, e.config.Poll); err != nil {
			return pipeline.Report{}, named(run, err)
		}
	}
}

// find returns the execution to wait for: the one at work, the one that
// succeeded, or a new one. Without a plan it is that of the run.
func (e *Engine) find(ctx context.Context, run string, p *pipeline.Plan, force bool) (runID string, err error) {
	s, err := e.look(ctx, run)
	if errors.Is(err, pipeline.ErrNoRun) && p != nil {
		return e.start(ctx, input{Plan: *p, Try: 1})
	}
	if err != nil {
		return "", err
	}
	was, err := e.begin(ctx, s)
	if err != nil {
		return "", err
	}
	if p != nil {
		changed := was.Plan.Same(*p)
		switch {
		case changed != nil && !force:
			return "", changed
		case changed != nil && s.info.Status == pipeline.StatusRunning:
			return "", fmt.Errorf("run %s: another plan of it is under way, cancel it first: %w", run, pipeline.ErrRunning)
		}
		was.Plan = *p
	}
	if s.info.Status == pipeline.StatusRunning || s.info.Status == pipeline.StatusSucceeded {
		return s.runID, nil
	}
	return e.start(ctx, input{Plan: was.Plan, Try: was.Try + 1, Earlier: e.earlier(ctx, s, was)})
}

// earlier is the report of a try that is over. Without it all steps are run
// again, and their effects are found done.
func (e *Engine) earlier(ctx context.Context, s state, was input) *pipeline.Report {
	end, err := e.ending(ctx, s)
	if end.Report.Run != "" {
		return &end.Report
	}
	e.log.WarnContext(ctx, "temporal: no report of the earlier try", slog.String("run", s.info.Run), slog.Any("error", err))
	return was.Earlier
}

// start begins a try. The ID of the workflow is the run: the server lets one of
// them be at work, and none begin after one that succeeded.
func (e *Engine) start(ctx context.Context, in input) (runID string, err error) {
	in.Heartbeat = e.config.Heartbeat
	if in.Kept, err = packedSize(in); err != nil {
		return "", named(in.Plan.Run, err)
	}
	if in.Kept > maxState {
		return "", fmt.Errorf("run %s: the plan and what is known of it have %d bytes, compressed; Temporal passes on %d", in.Plan.Run, in.Kept, maxState)
	}
	w, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: in.Plan.Run, TaskQueue: e.config.TaskQueue, StaticSummary: in.Plan.Pipeline,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Memo:                                     map[string]any{memoKey: memo{Pipeline: in.Plan.Pipeline, Try: in.Try, Started: time.Now()}},
	}, workflowName, in)
	if err != nil {
		return "", named(in.Plan.Run, err)
	}
	e.lonely(ctx, in.Plan.Run)
	return w.GetRunID(), nil
}

func taken(err error) bool {
	_, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err)
	return ok
}

// lonely warns of a task queue at which no worker looks for work.
func (e *Engine) lonely(ctx context.Context, run string) {
	q, err := e.client.DescribeTaskQueue(ctx, e.config.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil || len(q.GetPollers()) > 0 {
		return
	}
	e.log.WarnContext(ctx, "temporal: the run waits for a worker",
		slog.String("run", run), slog.String("task_queue", e.config.TaskQueue), slog.String("hint", "perdure worker --temporal "+e.config.HostPort))
}

package perduretemporal

import (
	"context"
	"errors"
	"fmt"
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
	for {
		s, err := e.look(ctx, p.Run)
		if errors.Is(err, pipeline.ErrNoRun) {
			runID, err := e.start(ctx, input{Plan: p, Try: 1})
			if taken(err) {
				continue // by another process, meanwhile
			}
			if err != nil {
				return pipeline.Report{}, err
			}
			return e.attach(ctx, p.Run, runID, o)
		}
		if err != nil {
			return pipeline.Report{}, err
		}
		was, err := e.begin(ctx, s)
		if err != nil {
			return pipeline.Report{}, err
		}
		if changed := was.Plan.Same(p); changed != nil {
			switch {
			case !o.Force:
				return pipeline.Report{}, changed
			case s.info.Status == pipeline.StatusRunning:
				return pipeline.Report{}, fmt.Errorf("run %s: another plan of it is under way, cancel it first: %w", p.Run, pipeline.ErrRunning)
			}
		}
		was.Plan = p
		if report, again, err := e.resume(ctx, s, was, o); !again {
			return report, err
		}
	}
}

// Resume goes on with a run, as [pipeline.Durable] says, and as Run does.
func (e *Engine) Resume(ctx context.Context, run string, o pipeline.DurableOptions) (pipeline.Report, error) {
	for {
		s, err := e.look(ctx, run)
		if err != nil {
			return pipeline.Report{}, err
		}
		was, err := e.begin(ctx, s)
		if err != nil {
			return pipeline.Report{}, err
		}
		if report, again, err := e.resume(ctx, s, was, o); !again {
			return report, err
		}
	}
}

// resume waits for a run that is at work, reads the report of one that has
// succeeded, and begins another try of any other. again says that another process was faster.
func (e *Engine) resume(ctx context.Context, s state, was input, o pipeline.DurableOptions) (r pipeline.Report, again bool, err error) {
	runID := s.runID
	if s.info.Status != pipeline.StatusRunning && s.info.Status != pipeline.StatusSucceeded {
		runID, err = e.start(ctx, input{Plan: was.Plan, Try: was.Try + 1, Earlier: e.earlier(ctx, s, was)})
		if taken(err) {
			return r, true, nil
		}
		if err != nil {
			return r, false, err
		}
	}
	r, err = e.attach(ctx, s.info.Run, runID, o)
	return r, false, err
}

// earlier is the report of a try that is over. Without it all steps are run
// again, and their effects are found done.
func (e *Engine) earlier(ctx context.Context, s state, was input) *pipeline.Report {
	end, err := e.ending(ctx, s)
	if end.Report.Run != "" {
		return &end.Report
	}
	e.log.WarnContext(ctx, "temporal: no report of the earlier try", "run", s.info.Run, "error", err)
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
		"run", run, "task_queue", e.config.TaskQueue, "hint", "perdure worker --temporal "+e.config.HostPort)
}

package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perdure/perdure/pipeline"
)

// askTime is how long a worker may take to say how far a run is.
const askTime = 5 * time.Second

// state is what the server itself knows of the last try of a run.
type state struct {
	info    pipeline.RunInfo
	runID   string
	pending []*workflowpb.PendingActivityInfo
}

// Show returns what is known of a run. How far one is that is at work, only a
// worker can say: without one there is no Report. The error is [pipeline.ErrNoRun] if there is no such run.
func (e *Engine) Show(ctx context.Context, run string) (pipeline.RunInfo, error) {
	s, err := e.look(ctx, run)
	if err != nil {
		return pipeline.RunInfo{}, err
	}
	in, err := e.begin(ctx, s)
	if err != nil {
		return pipeline.RunInfo{}, err
	}
	s.info.Plan = &in.Plan
	var end ending
	if s.info.Status == pipeline.StatusRunning {
		var p progress
		p, err = e.inquire(ctx, run, s.runID)
		end = ending{Report: p.Report, Owner: p.Owner}
	} else {
		end, err = e.ending(ctx, s)
	}
	if end.Report.Run == "" {
		e.log.WarnContext(ctx, "temporal: no report of the run", slog.String("run", run), slog.Any("error", err))
		return s.info, nil
	}
	s.info.Report = &end.Report
	if s.info.Owner == "" {
		s.info.Owner = end.Owner
	}
	return s.info, nil
}

// look asks the server for the last try of a run.
func (e *Engine) look(ctx context.Context, run string) (state, error) {
	d, err := e.client.DescribeWorkflow(ctx, run, "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return state{}, named(run, pipeline.ErrNoRun)
	}
	if err != nil {
		return state{}, named(run, err)
	}
	w := d.RawResponse.GetWorkflowExecutionInfo()
	if kind := w.GetType().GetName(); kind != workflowName {
		return state{}, fmt.Errorf("run %s: the workflow of this ID is a %q, none of perdure's", run, kind)
	}
	s := state{info: e.info(w), runID: w.GetExecution().GetRunId(), pending: d.RawResponse.GetPendingActivities()}
	for _, a := range s.pending {
		if a.GetState() == enumspb.PENDING_ACTIVITY_STATE_STARTED {
			s.info.Owner = a.GetLastWorkerIdentity()
		}
	}
	return s, nil
}

// info is what a list shows of an execution.
func (e *Engine) info(w *workflowpb.WorkflowExecutionInfo) pipeline.RunInfo {
	i := pipeline.RunInfo{
		Run: w.GetExecution().GetWorkflowId(), Engine: "temporal", Try: 1,
		Started: w.GetStartTime().AsTime(), Status: pipeline.StatusRunning,
	}
	var m memo
	if p := w.GetMemo().GetFields()[memoKey]; p != nil && e.convert.FromPayload(p, &m) == nil {
		i.Pipeline, i.Try, i.Started = m.Pipeline, m.Try, m.Started
	}
	switch w.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		i.Status = pipeline.StatusSucceeded
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED, enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		i.Status = pipeline.StatusFailed
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		i.Status = pipeline.StatusCanceled
	default:
		return i
	}
	if m.Interrupted {
		i.Status = pipeline.StatusInterrupted
	}
	i.Ended = w.GetCloseTime().AsTime()
	return i
}

// begin reads what a try began with: the first event of its history.
func (e *Engine) begin(ctx context.Context, s state) (input, error) {
	h, err := e.client.WorkflowService().GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace: e.config.Namespace, MaximumPageSize: 1,
		Execution: &commonpb.WorkflowExecution{WorkflowId: s.info.Run, RunId: s.runID},
	})
	if err != nil {
		return input{}, named(s.info.Run, err)
	}
	events := h.GetHistory().GetEvents()
	if len(events) == 0 {
		return input{}, fmt.Errorf("run %s: its history is empty", s.info.Run)
	}
	var in input
	if err := e.convert.FromPayloads(events[0].GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil {
		return input{}, fmt.Errorf("run %s: its plan cannot be read: %w", s.info.Run, err)
	}
	return in, nil
}

// ending returns how a try ended, as it said itself, or else as its history says.
func (e *Engine) ending(ctx context.Context, s state) (ending, error) {
	end, err := e.wait(ctx, s.info.Run, s.runID)
	if end.Report.Run != "" {
		return end, err
	}
	p, err := e.inquire(ctx, s.info.Run, s.runID)
	if err != nil {
		return ending{}, err
	}
	p.Report.Status = s.info.Status
	for i := range p.Report.Steps {
		if s := &p.Report.Steps[i]; s.Status == pipeline.StatusPending || s.Status == pipeline.StatusRunning {
			s.Status = pipeline.StatusCanceled
		}
	}
	return ending{Report: p.Report, Owner: p.Owner}, nil
}

// inquire asks a worker how far a try is.
func (e *Engine) inquire(ctx context.Context, run, runID string) (progress, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	v, err := e.client.QueryWorkflow(ctx, run, runID, progressQuery)
	if err != nil {
		return progress{}, named(run, err)
	}
	var p progress
	return p, named(run, v.Get(&p))
}

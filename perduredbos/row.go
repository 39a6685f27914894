package perduredbos

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/perdure/perdure/pipeline"
)

// input is what the workflow of a try is given, and what any process reads of it.
type input struct {
	Plan    pipeline.Plan    `json:"plan"`
	Earlier *pipeline.Report `json:"earlier,omitempty"` // of the try before
}

// row is a try of a run as DBOS has it.
type row struct {
	run      string
	try      int
	status   dbos.WorkflowStatusType
	executor string
	version  string
	pipeline string
	began    time.Time // of the first try
	created  time.Time // of this one
	ended    time.Time
	input    string // JSON, if it was asked for
}

// over reports whether nobody is, or can be, at work on the try.
func (r *row) over() bool {
	switch r.status { //nolint:exhaustive // all others can be gone on with
	case dbos.WorkflowStatusSuccess, dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled:
		return true
	}
	return false
}

func (r *row) id() string { return tryID(r.run, r.try) }

// tryID is the name of a try's workflow. A "~" is in the name of no run.
func tryID(run string, try int) string {
	if try == 1 {
		return run
	}
	return run + "~" + strconv.Itoa(try)
}

func parseTryID(id string) (run string, try int, ok bool) {
	run, n, cut := strings.Cut(id, "~")
	if !cut {
		return id, 1, true
	}
	try, err := strconv.Atoi(n)
	return run, try, err == nil && try > 1
}

const (
	attrPipeline = "pipeline"
	attrBegan    = "began"
)

func rowOf(w dbos.WorkflowStatus) (row, bool) {
	run, try, ok := parseTryID(w.ID)
	if !ok {
		return row{}, false
	}
	r := row{
		run: run, try: try, status: w.Status, executor: w.ExecutorID, version: w.ApplicationVersion,
		created: w.CreatedAt.UTC(), began: w.CreatedAt.UTC(),
	}
	if r.over() {
		if r.ended = w.CompletedAt.UTC(); w.CompletedAt.IsZero() {
			r.ended = w.UpdatedAt.UTC()
		}
	}
	r.pipeline, _ = w.Attributes[attrPipeline].(string)
	if s, isText := w.Attributes[attrBegan].(string); isText {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
			r.began = at
		}
	}
	r.input, _ = w.Input.(string)
	return r, true
}

// newest returns the newest try of the run, or nil if there is none.
func (e *Engine) newest(ctx context.Context, run string, withInput bool) (*row, error) {
	c, err := e.reader(ctx)
	if err != nil || c == nil {
		return nil, err
	}
	// The many tries of a run are few, and "_" in the prefix matches more than itself.
	found, err := dbos.ListWorkflows(c, dbos.WithFilterName(workflowName), dbos.WithFilterWorkflowIDPrefix(run+"~"),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, e.state.fault(err)
	}
	try := 1
	for _, w := range found {
		if name, n, ok := parseTryID(w.ID); ok && name == run {
			try = max(try, n)
		}
	}
	return e.read(c, tryID(run, try), withInput)
}

// read returns a try, or nil if there is none of that name.
func (e *Engine) read(c dbos.Client, id string, withInput bool) (*row, error) {
	found, err := dbos.ListWorkflows(c, dbos.WithFilterName(workflowName), dbos.WithFilterWorkflowIDs(id),
		dbos.WithFilterLoadInput(withInput), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, e.state.fault(err)
	}
	for _, w := range found {
		if r, ok := rowOf(w); ok {
			return &r, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// plan returns what the try was begun with.
func (r *row) plan() (input, error) {
	var in input
	if r.version != appVersion {
		return in, fmt.Errorf("run %s is kept in a form %q that this version of perdure does not know: it knows %q", r.run, r.version, appVersion)
	}
	if err := json.Unmarshal([]byte(r.input), &in); err != nil {
		return in, fmt.Errorf("run %s: what it was begun with cannot be read: %w", r.run, err)
	}
	return in, nil
}

// report says how far the try came, by its records.
func (e *Engine) report(ctx context.Context, r *row, in input) (pipeline.Report, error) {
	c, err := e.reader(ctx)
	if err != nil {
		return pipeline.Report{}, err
	}
	steps, err := dbos.GetWorkflowSteps(c, r.id(), dbos.WithStepsLoadOutput(true))
	if err != nil {
		return pipeline.Report{}, e.state.fault(err)
	}
	started, records := r.created, []pipeline.Record(nil)
	for _, s := range steps {
		raw, _ := s.Output.(string)
		var err error
		switch s.StepName {
		case stepBegin:
			err = json.Unmarshal([]byte(raw), &started)
		case stepNext:
			var some []pipeline.Record
			if raw != "" {
				err = json.Unmarshal([]byte(raw), &some)
			}
			records = append(records, some...)
		}
		if err != nil {
			return pipeline.Report{}, fmt.Errorf("run %s: record %d cannot be read: %w", r.run, s.StepID, err)
		}
	}
	return in.Plan.Report(started, in.Earlier, records) //nolint:contextcheck // nothing in it waits
}

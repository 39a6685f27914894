package main

import (
	"fmt"
	"time"

	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/pipeline"
)

// runReport is the JSON of one run: docs/cli-json.md is its contract.
type runReport struct {
	Status  pipeline.Status `json:"status"`
	Error   string          `json:"error,omitempty"`
	Verdict string          `json:"verdict"`
	How     string          `json:"how"`
	Engine  string          `json:"engine"`            // dbos or inline
	Outcome string          `json:"outcome,omitempty"` // how commits in doubt are resolved: marker or token
	Server  string          `json:"server"`
	Seed    uint64          `json:"seed"`
	Seconds float64         `json:"seconds"`
	Faults  chaos.Counts    `json:"faults"`
	Calls   int64           `json:"calls"`
	Retries int64           `json:"retries"`
	// GaveUp counts the transactions that the naive run skipped after its last attempt.
	GaveUp int64 `json:"gave_up"`
	// CommitsInDoubt counts the commits whose reply was lost, by what was found
	// out. The naive run cannot tell: nil.
	CommitsInDoubt *doubts          `json:"commits_in_doubt,omitempty"`
	ResolvedBy     map[string]int64 `json:"resolved_by,omitempty"`
	Remembered     int64            `json:"remembered"`
	Parked         int64            `json:"parked"`
	ParkedSeconds  float64          `json:"parked_seconds"`
	flights.Result
	Rejected int              `json:"rejected"`
	Model    *flights.Metrics `json:"model,omitempty"`
	Steps    []stepReport     `json:"steps"`
}

// doubts counts commits in doubt by how each was resolved.
type doubts struct {
	Committed int64 `json:"committed"`
	Aborted   int64 `json:"aborted"`
	Unknown   int64 `json:"unknown"`
}

type stepReport struct {
	Name     string          `json:"name"`
	Status   pipeline.Status `json:"status"`
	Seconds  float64         `json:"seconds"`
	Attempts int             `json:"attempts"`
	Items    int             `json:"items,omitempty"`
	Error    string          `json:"error,omitempty"`
	Hint     string          `json:"hint,omitempty"`
}

// take copies what the engine reports.
func (r *runReport) take(p pipeline.Report, err error) {
	r.Status = p.Status
	r.Seconds = seconds(p.Duration)
	if err != nil {
		r.Error = err.Error()
	}
	for _, s := range p.Steps {
		sr := stepReport{Name: s.Name, Status: s.Status, Seconds: seconds(s.Duration), Attempts: s.Attempts, Items: s.Items}
		if s.Failure != nil {
			sr.Error, sr.Hint = s.Failure.Message, s.Failure.Hint
		}
		r.Steps = append(r.Steps, sr)
	}
	if s, ok := p.Step("evaluate"); ok && s.Output != nil {
		r.Model = metricsOf(s.Output)
	}
}

// notAudited is the verdict if nobody could look at the rows; the report's error says why.
const notAudited = "not audited"

// judge says in one word what became of the rows.
func (r *runReport) judge() {
	switch {
	case r.Status != pipeline.StatusSucceeded:
		r.Verdict = "not finished"
	case r.Intact():
		r.Verdict = "intact"
	case r.Lost > 0 && r.Doubled > 0:
		r.Verdict = "rows lost and doubled"
	case r.Lost > 0:
		r.Verdict = "rows lost"
	default:
		r.Verdict = "rows doubled"
	}
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// brief says in a few words what was broken so far.
func brief(c chaos.Counts) string {
	if c == (chaos.Counts{}) {
		return ""
	}
	return fmt.Sprintf("%d kills, %d commits cut", c.PostmasterKills+c.BackendKills+c.ImmediateStops, c.CommitRepliesLost+c.CutBeforeCommit)
}

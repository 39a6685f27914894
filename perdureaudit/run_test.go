package perdureaudit_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/perdureaudit"
)

func TestWhatHappensToARunIsRecorded(t *testing.T) {
	r := newRig(t, perdureaudit.Config{Manager: "warehouse"}, perdure.Policy{})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, e := range []perdureaudit.RunEvent{
		{At: at, Pipeline: "flights", Run: "flights-7", Action: perdureaudit.RunBegun, Engine: "dbos", Try: 1, Steps: 3},
		{Pipeline: "flights", Run: "flights-7", Action: perdureaudit.RunStepFailed, Step: "load", Attempts: 2, Reason: "exhausted", SQLState: "57P01", Text: "admin_shutdown (SQLSTATE 57P01)"},
		{Pipeline: "flights", Run: "flights-7", Action: perdureaudit.RunFailed, Engine: "dbos", Try: 1, Took: 1500 * time.Millisecond},
	} {
		r.recorder.PipelineRun(e)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	type told struct {
		Subject, Action, Manager, ID, Text string
		Fields                             map[string]any
	}
	var got []told
	for _, e := range r.records(t, audit.KindRun) {
		got = append(got, told{e.Subject, e.Action, e.Manager, e.CorrelationID, e.Text, e.Fields})
	}
	want := []told{
		{"flights", "begun", "warehouse", "flights-7", "", map[string]any{"engine": "dbos", "try": json.Number("1"), "steps": json.Number("3")}},
		{"flights", "step-failed", "warehouse", "flights-7", "admin_shutdown (SQLSTATE 57P01)", map[string]any{
			"step": "load", "attempts": json.Number("2"), "reason": "exhausted", "sqlstate": "57P01",
		}},
		{"flights", "failed", "warehouse", "flights-7", "", map[string]any{"engine": "dbos", "try": json.Number("1"), "took_ms": json.Number("1500")}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
}

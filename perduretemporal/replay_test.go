package perduretemporal

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// replay runs the workflow against a history. It fails if it decides otherwise.
func replay(t *testing.T, h *historypb.History) error {
	t.Helper()
	r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DataConverter: newConverter()})
	if err != nil {
		t.Fatal(err)
	}
	r.RegisterWorkflowWithOptions(flow{}.run, workflow.RegisterOptions{Name: workflowName})
	return r.ReplayWorkflowHistory(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), h)
}

func history(t *testing.T, name string) *historypb.History {
	t.Helper()
	packed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	h, err := client.HistoryFromJSON(bytes.NewReader(raw), client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestRecordedHistoriesAreReplayed: a change of what the workflow decides breaks
// the runs that are at work when workers are upgraded. The histories were
// recorded on a real server, see internal/servertest.
func TestRecordedHistoriesAreReplayed(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "histories", "*.json.gz"))
	if err != nil || len(names) < 2 {
		t.Fatalf("%d histories, %v: make test-temporal records them", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			h := history(t, name)
			if err := replay(t, h); err != nil {
				t.Errorf("%d events: %v", len(h.GetEvents()), err)
			}
		})
	}
}

// TestAReplayNoticesAnotherDecision: the same history of a plan whose first step
// has another name.
func TestAReplayNoticesAnotherDecision(t *testing.T) {
	h := history(t, filepath.Join("testdata", "histories", "fails-1.json.gz"))
	i := slices.IndexFunc(h.GetEvents(), func(e *historypb.HistoryEvent) bool {
		return e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
	})
	started := h.GetEvents()[i].GetWorkflowExecutionStartedEventAttributes()
	var in input
	if err := newConverter().FromPayloads(started.GetInput(), &in); err != nil {
		t.Fatal(err)
	}
	in.Plan.Steps[0].Name, in.Plan.Steps[1].Needs = "other", []string{"other"}
	changed, err := newConverter().ToPayloads(in)
	if err != nil {
		t.Fatal(err)
	}
	started.Input = changed
	if replay(t, h) == nil {
		t.Error("a history of another step was replayed")
	}
}

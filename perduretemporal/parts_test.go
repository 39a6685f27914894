package perduretemporal

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/converter"

	"github.com/perdure/perdure/pipeline"
)

func TestAConfigurationSaysAllThatIsWrong(t *testing.T) {
	_, err := Config{HostPort: "temporal", Heartbeat: time.Millisecond, Poll: -1}.withDefaults()
	want := "host_port: \"temporal\" is not HOST:PORT\nheartbeat: 1ms is less than 1s\npoll: -1ns is less than 10ms"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	c, err := Config{}.withDefaults()
	if err != nil || c.HostPort != "127.0.0.1:7233" || c.Namespace != "default" || c.TaskQueue != "perdure" || c.Heartbeat != 30*time.Second || c.Poll != time.Second {
		t.Errorf("defaults = %+v, %v", c, err)
	}
}

func TestAWorkerSaysWhatIsWrong(t *testing.T) {
	if _, err := NewWorker(&Engine{}, WorkerConfig{Parallel: -1}); err == nil {
		t.Error("a worker of -1 tasks was made")
	}
}

func TestLargePayloadsAreCompressedAndSmallOnesReadable(t *testing.T) {
	c := newConverter()
	for text, want := range map[string]string{"short": converter.MetadataEncodingJSON, strings.Repeat("long ", 10_000): "binary/zlib"} {
		p, err := c.ToPayload(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.Metadata[converter.MetadataEncoding]); got != want {
			t.Errorf("encoding of %d bytes = %s, want %s", len(text), got, want)
		}
		var back string
		if err := c.FromPayload(p, &back); err != nil || back != text {
			t.Errorf("%d bytes came back as %d, %v", len(text), len(back), err)
		}
	}
}

func TestHeadKeepsRunesWhole(t *testing.T) {
	for n := range 12 {
		if got := head("äöüäöü", n); !utf8.ValidString(got) || len(got) > n+len("…") {
			t.Errorf("head(%d) = %q", n, got)
		}
	}
}

func TestLabelsAreDifferent(t *testing.T) {
	got := []string{
		label(pipeline.Task{Step: "a"}), label(pipeline.Task{Step: "a", Listing: true}), label(pipeline.Task{Step: "a", Item: "items"}),
	}
	if diff := cmp.Diff([]string{"a", "a/items?", "a/items"}, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestAnObserverIsToldWhatIsNew(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var got []pipeline.Event
	o := newTeller(func(e pipeline.Event) { got = append(got, e) })
	report := func(steps ...pipeline.StepReport) pipeline.Report { return pipeline.Report{Run: "r", Steps: steps} }
	pending := pipeline.StepReport{Name: "b", Status: pipeline.StatusPending}
	why := &pipeline.Failure{Message: "not yet"}

	o.tell(progress{ // a run that is gone on with: what happened before comes first
		Report: report(pipeline.StepReport{Name: "a", Status: pipeline.StatusSucceeded, Started: at, Duration: time.Second}, pending),
		Steps:  make([]stepProgress, 2),
	})
	running := pipeline.StepReport{Name: "b", Status: pipeline.StatusRunning, Started: at.Add(time.Second), Duration: time.Second}
	o.tell(progress{
		Report: report(pipeline.StepReport{Name: "a", Status: pipeline.StatusSucceeded}, running),
		Steps:  []stepProgress{{}, {Done: 1, Total: 2, Item: "x", Until: at.Add(time.Hour), Failure: why}},
	})
	o.beat("b/y#1", beat{Done: 4, Total: 5}, at)
	o.beat("b/y#1", beat{Done: 4, Total: 5}, at)
	running.Status, running.Items = pipeline.StatusSucceeded, 2
	o.tell(progress{Report: report(pipeline.StepReport{Name: "a", Status: pipeline.StatusSucceeded}, running), Steps: make([]stepProgress, 2)})

	want := []pipeline.Event{
		{Kind: pipeline.EventStepStarted, At: at, Step: "a", Status: pipeline.StatusRunning},
		{Kind: pipeline.EventStepEnded, At: at.Add(time.Second), Step: "a", Status: pipeline.StatusSucceeded},
		{Kind: pipeline.EventStepStarted, At: at.Add(time.Second), Step: "b", Status: pipeline.StatusRunning},
		{Kind: pipeline.EventProgress, At: at.Add(2 * time.Second), Step: "b", Item: "x", Done: 1, Total: 2, Status: pipeline.StatusRunning},
		{Kind: pipeline.EventWaiting, At: at.Add(2 * time.Second), Step: "b", Item: "x", Until: at.Add(time.Hour), Failure: why, Status: pipeline.StatusRunning},
		{Kind: pipeline.EventProgress, At: at, Step: "b", Item: "y", Done: 4, Total: 5, Parts: true, Status: pipeline.StatusRunning},
		{Kind: pipeline.EventStepEnded, At: at.Add(2 * time.Second), Step: "b", Status: pipeline.StatusSucceeded, Done: 2, Total: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

//go:build temporal && unix

package servertest

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"
)

// limit is how long anything may take here: machines that do much else are slow.
const limit = 5 * time.Minute

var update = flag.Bool("update", false, "record the histories anew that the unit tests replay")

// histories returns those of a run, one for each execution, the first one first.
func histories(t *testing.T, s *server, run string) []*historypb.History {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out []*historypb.History
	id := ""
	if d, err := c.DescribeWorkflowExecution(t.Context(), run, ""); err != nil {
		t.Fatal(err)
	} else if id = d.GetWorkflowExecutionInfo().GetFirstRunId(); id == "" {
		t.Fatal("the server does not say which execution was the first")
	}
	for id != "" {
		h := &historypb.History{}
		next := ""
		for it := c.GetWorkflowHistory(t.Context(), run, id, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
			ev, err := it.Next()
			if err != nil {
				t.Fatal(err)
			}
			h.Events = append(h.Events, ev)
			next = ev.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
		out = append(out, h)
		id = next
	}
	return out
}

func executions(t *testing.T, s *server, run string) int {
	t.Helper()
	return len(histories(t, s, run))
}

// record writes the histories of a run where the unit tests replay them, without
// the names of this machine.
func record(t *testing.T, s *server, run string) {
	t.Helper()
	if !*update {
		return
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range histories(t, s, run) {
		if i == 3 {
			break // the first, one in the middle, and one more
		}
		raw, err := protojson.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.ReplaceAll(raw, []byte(host), []byte("host"))
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("..", "..", "testdata", "histories", fmt.Sprintf("%s-%d.json.gz", run, i+1))
		if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d events, %d bytes", name, len(h.GetEvents()), b.Len())
	}
}

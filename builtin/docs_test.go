package builtin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheExampleOfTheDocsRuns runs the pipeline that docs/pipelines.md begins with.
func TestTheExampleOfTheDocsRuns(t *testing.T) {
	text, err := os.ReadFile("../docs/pipelines.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	yaml, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there is no example")
	}
	d := parse(t, yaml)
	for _, m := range []string{"sql.exec", "sql.query", "sql.script", "sql.copy", "process.run", "http.call"} {
		if !strings.Contains(string(text), "| `"+m+"` |") {
			t.Errorf("docs/pipelines.md says nothing of %s", m)
		}
	}
	h := open(t, server.Database(t))
	file := filepath.Join(t.TempDir(), "orders.csv")
	write(t, file, "id,region,amount\n1,north,10.50\n2,south,7\n3,south,nothing\n4,south,7.25\n")
	for range 2 {
		r, err := h.run(t, d, "orders-1", map[string]any{"day": "2001-12-31", "file": file})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := output(t, r, "report"), `{"best":"south","rejected":1}`; got != want {
			t.Errorf("report = %s, want %s", got, want)
		}
	}
	if got, want := h.text(t, "select region, amount::text from total order by region"), "north 10.50\nsouth 14.25"; got != want {
		t.Errorf("totals:\n%s\nwant:\n%s", got, want)
	}
}

package audit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/audit"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("AUDIT_TEST_WRITER"); dir != "" {
		os.Exit(writeUntilKilled(dir))
	}
	if dir := os.Getenv("AUDIT_TEST_LIMITED"); dir != "" {
		os.Exit(writeUntilFull(dir))
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, cfg audit.Config) *audit.Trail {
	t.Helper()
	trail, err := audit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trail.Close() })
	return trail
}

func appendTo(t *testing.T, trail *audit.Trail, records ...audit.Record) uint64 {
	t.Helper()
	seq, err := trail.Append(t.Context(), records...)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func closeTrail(t *testing.T, trail *audit.Trail) {
	t.Helper()
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
}

func outcome(subject string) audit.Record {
	return audit.Record{
		Kind: audit.KindOutcome, Manager: "warehouse", Subject: subject, Action: "committed",
		CorrelationID: "0af7651916cd43dd8448eb211c80319c", Fields: map[string]any{"method": "marker", "took_ms": 12.5},
	}
}

func verify(t *testing.T, dir string) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), audit.VerifyConfig{Dir: dir})
	if err != nil {
		t.Fatalf("Verify = %v", err)
	}
	return r
}

func all(t *testing.T, dir string, kinds ...audit.Kind) []audit.Entry {
	t.Helper()
	var list []audit.Entry
	for e, err := range audit.Tail(t.Context(), audit.TailConfig{Dir: dir, Last: -1, Kinds: kinds}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil || len(list) == 0 {
		t.Fatalf("files of %s = %v, %v", dir, list, err)
	}
	return list
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines returns the lines of b with their newlines.
func lines(b []byte) []string { return slices.Collect(strings.Lines(string(b))) }

// fill makes a closed trail of several files.
func fill(t *testing.T, cfg audit.Config, n int) {
	t.Helper()
	trail := open(t, cfg)
	for i := range n {
		appendTo(t, trail, outcome("features.load."+string(rune('a'+i%26))))
	}
	closeTrail(t, trail)
}

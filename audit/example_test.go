package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/perdure/perdure/audit"
)

// A record is on the disk when Append returns. Later somebody edits it, and
// Verify says where.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	trail, err := audit.Open(audit.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = trail.Append(ctx, audit.Record{
		Kind: audit.KindAdmin, Subject: "database", Action: "hold-open", Actor: "ada", Fields: map[string]any{"status": 200},
	})
	if err := errors.Join(err, trail.Close()); err != nil {
		fmt.Println(err)
		return
	}

	report, err := audit.Verify(ctx, audit.VerifyConfig{Dir: dir})
	fmt.Println(report.Records, report.Signed, err)

	file := filepath.Join(dir, "audit-0000000000000001.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), `"ada"`, `"bob"`, 1)), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	_, err = audit.Verify(ctx, audit.VerifyConfig{Dir: dir})
	fmt.Println(err)
	// Output:
	// 4 4 <nil>
	// audit-0000000000000001.jsonl:3: record 3 was changed: its hash is not that of its bytes
}

func ExampleTail() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	trail, err := audit.Open(audit.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer trail.Close()
	for _, run := range []string{"flights/2001-01-01", "flights/2001-01-02", "flights/2001-01-03"} {
		if _, err := trail.Append(ctx, audit.Record{Kind: audit.KindRun, Subject: run, Action: "succeeded"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	for e, err := range audit.Tail(ctx, audit.TailConfig{Dir: dir, Last: 2, Kinds: []audit.Kind{audit.KindRun}}) {
		fmt.Println(e.Seq, e.Subject, e.Action, err)
	}
	// Output:
	// 4 flights/2001-01-02 succeeded <nil>
	// 5 flights/2001-01-03 succeeded <nil>
}

// A checkpoint that was kept on another machine is the evidence against whoever
// can write to the trail: it shows that records are missing at its end.
func ExampleVerify() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var kept string // on the other machine
	trail, err := audit.Open(audit.Config{Dir: dir, CheckpointEvery: 2, Checkpointed: func(note string) { kept = note }})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, run := range []string{"flights/2001-01-01", "flights/2001-01-02"} {
		if _, err := trail.Append(ctx, audit.Record{Kind: audit.KindRun, Subject: run, Action: "succeeded"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := trail.Close(); err != nil {
		fmt.Println(err)
		return
	}

	// Somebody cuts off the end, and the local checkpoint with it.
	file := filepath.Join(dir, "audit-0000000000000001.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	lines := strings.SplitAfter(string(text), "\n")
	err = errors.Join(
		os.WriteFile(file, []byte(strings.Join(lines[:2], "")), 0o600),
		os.Remove(filepath.Join(dir, "audit.checkpoint")),
	)
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = audit.Verify(ctx, audit.VerifyConfig{Dir: dir, Checkpoints: []string{kept}})
	fmt.Println(err)
	// Output: audit-0000000000000001.jsonl:3: the trail was truncated: records 3 to 5 are missing: the checkpoint given covers them
}

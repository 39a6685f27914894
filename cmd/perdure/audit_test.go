package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/perdure/perdure/audit"
)

// makeTrail makes a trail, or adds to it: trail DIR RECORDS.
func makeTrail(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	trail, err := audit.Open(audit.Config{Dir: ts.MkAbs(args[0]), Origin: "test/trail"})
	ts.Check(err)
	for i := range n {
		_, err := trail.Append(context.Background(), audit.Record{
			Kind: audit.KindHold, Subject: fmt.Sprint("op.", i), Action: "hold-open", Actor: "ops\x1b[31m\u009b", Fields: map[string]any{"n": i},
		})
		ts.Check(err)
	}
	ts.Check(trail.Close())
}

// flipBit flips one bit in a line of a file: flip FILE LINE.
func flipBit(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	lines := strings.SplitAfter(ts.ReadFile(args[0]), "\n")
	b := []byte(lines[n-1])
	b[len(b)/2] ^= 1
	lines[n-1] = string(b)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "")), 0o600))
}

func TestAuditTailFollowsUntilItIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	trail, err := audit.Open(audit.Config{Dir: dir, MaxFileBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer trail.Close()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	code := make(chan int, 1)
	var talk bytes.Buffer
	go func() {
		code <- command(ctx, []string{"audit", "tail", dir, "--follow", "--kind", "run"}, out, &talk)
		_ = out.Close() // a pipe's never fails
	}()
	lines := bufio.NewScanner(in)
	for i := range 30 { // over several files
		name := fmt.Sprint("run-", i)
		if _, err := trail.Append(ctx, audit.Record{Kind: audit.KindRun, Subject: name}, audit.Record{Kind: audit.KindAdmin}); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.HasSuffix(lines.Text(), "run  "+name) {
			t.Fatalf("line %d = %q, want %s", i, lines.Text(), name)
		}
	}
	cancel()
	if got := <-code; got != exitInterrupted {
		t.Errorf("exit code = %d, want %d; it said %s", got, exitInterrupted, talk.String())
	}
}

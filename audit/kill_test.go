package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/perdure/perdure/audit"
)

// writeUntilKilled is what a child does: it appends from eight goroutines and
// writes the names of what was acknowledged to its standard output.
func writeUntilKilled(dir string) int {
	trail, err := audit.Open(audit.Config{Dir: dir, MaxFileBytes: 64 << 10, CheckpointEvery: 50, Sanitize: func(s string) string { return s }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	padding := make([]byte, 3000)
	for i := range padding {
		padding[i] = 'a' + byte(i%26)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := outcome(fmt.Sprintf("%d.%d.%d", os.Getpid(), g, i))
				r.Text = string(padding[:(i*997+g*131)%len(padding)])
				if _, err := trail.Append(context.Background(), r); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				if _, err := os.Stdout.WriteString(r.Subject + "\n"); err != nil {
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return 0
}

func TestNothingAcknowledgedIsLostIn100Kills(t *testing.T) {
	const kills = 100
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	torn := 0
	for range kills {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "AUDIT_TEST_WRITER="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(out)
		for until := 1 + rand.IntN(100); until > 0 && in.Scan(); until-- {
			acknowledged[in.Text()] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for in.Scan() { // what it had said before it died
			acknowledged[in.Text()] = true
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the child was not killed: %v", err)
		}
		list := files(t, dir)
		if b := read(t, list[len(list)-1]); len(b) > 0 && b[len(b)-1] != '\n' {
			torn++
		}
	}
	trail := open(t, audit.Config{Dir: dir})
	closeTrail(t, trail)

	r := verify(t, dir)
	if r.Signed != r.Size || r.Healed != torn {
		t.Errorf("Verify = %+v, want all signed and %d healed tails", r, torn)
	}
	found := map[string]int{}
	for _, e := range all(t, dir, audit.KindOutcome) {
		found[e.Subject]++
	}
	for name := range acknowledged {
		if found[name] != 1 {
			t.Errorf("the acknowledged record %s is in the trail %d times, want once", name, found[name])
		}
	}
	if len(acknowledged) < kills {
		t.Errorf("%d records were acknowledged, want at least one for each of %d kills", len(acknowledged), kills)
	}
	t.Logf("%d kills: %d acknowledged records, %d in the trail, %d files, %d torn tails healed", kills, len(acknowledged), r.Size, r.Files, torn)
}

package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/perdure/perdure/audit"
)

// writeUntilFull is what a child does whose files may not grow past 16 KiB.
func writeUntilFull(dir string) int {
	limit := syscall.Rlimit{Cur: 16 << 10, Max: 16 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := appendUntilFull(audit.Config{Dir: dir, CheckpointAfter: -1}, syscall.EFBIG); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// appendUntilFull appends until the disk takes no more, and checks what the
// trail says and keeps.
func appendUntilFull(cfg audit.Config, want error) error {
	trail, err := audit.Open(cfg)
	if err != nil {
		return err
	}
	defer trail.Close()
	var last uint64
	for err == nil {
		var seq uint64
		if seq, err = trail.Append(context.Background(), outcome("x"), outcome("y")); err == nil {
			last = seq
		}
	}
	if !errors.Is(err, audit.ErrFailed) || !errors.Is(err, want) {
		return fmt.Errorf("Append = %w, want ErrFailed and %w", err, want)
	}
	if _, again := trail.Append(context.Background(), outcome("z")); !errors.Is(again, want) {
		return fmt.Errorf("the next Append = %w, want the same", again)
	}
	s := trail.Stats()
	if s.Failures != 3 || !errors.Is(s.Err, want) || s.FailedAt.IsZero() || s.Size < last || s.Size > last+2 || trail.Err() == nil {
		return fmt.Errorf("Stats = %+v, want 3 failures, and %d records or up to two more whose Append failed later", s, last)
	}
	if err := trail.Close(); !errors.Is(err, want) {
		return fmt.Errorf("Close = %w, want the error of the failed write", err)
	}
	r, err := audit.Verify(context.Background(), audit.VerifyConfig{Dir: cfg.Dir})
	if err != nil || r.Size != s.Size {
		return fmt.Errorf("Verify = %+v, %w, want the %d records that are durable", r, err, s.Size)
	}
	return nil
}

func TestAFileThatMayNotGrowFailsTheTrail(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "AUDIT_TEST_LIMITED="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fill(t, audit.Config{Dir: dir}, 10) // with room again, the trail goes on
	if r := verify(t, dir); r.Healed != 0 {
		t.Errorf("Verify = %+v, want no torn tail: the failed write was taken back", r)
	}
}

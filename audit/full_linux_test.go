package audit_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/perdure/perdure/audit"
)

// TestAFullDiskFailsTheTrail needs a file system that can be filled: it mounts
// one where the system lets it, and otherwise the test above is all there is.
func TestAFullDiskFailsTheTrail(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("no file system can be mounted here")
		return
	}
	for _, size := range []int64{0, 4096, 5000, 6000, 7000, 8192} { // it is full in a file, or where one is begun
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
			t.Logf("no file system can be mounted here: %v", err)
			return
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		if err := appendUntilFull(audit.Config{Dir: dir, CheckpointAfter: -1, MaxFileBytes: size}, syscall.ENOSPC); err != nil {
			t.Errorf("files of %d bytes: %v", size, err)
		}
	}
}

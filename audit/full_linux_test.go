package audit_test

import (
	"os"
	"syscall"
	"testing"
)

// TestAFullDiskFailsTheTrail needs a file system that can be filled: it mounts
// one where the system lets it, and otherwise the test above is all there is.
func TestAFullDiskFailsTheTrail(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("no file system can be mounted here")
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Logf("no file system can be mounted here: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	if err := appendUntilFull(dir, syscall.ENOSPC); err != nil {
		t.Fatal(err)
	}
}

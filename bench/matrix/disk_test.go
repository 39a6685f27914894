package matrix

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// diskSize is that of the small file system.
const diskSize = "24m"

// mountDisk mounts a small file system in memory, or says why it cannot.
func mountDisk(t testing.TB) (dir, why string) {
	t.Helper()
	const needs = "needs the right to mount a tmpfs"
	if os.Getuid() != 0 {
		return "", needs
	}
	root, err := os.MkdirTemp("/tmp", "perdure-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+diskSize, "tmpfs", root).Run(); err != nil {
		return "", needs
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", root).Run() })
	dir = filepath.Join(root, "table")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, ""
}

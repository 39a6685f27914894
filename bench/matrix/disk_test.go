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
func mountDisk(tb testing.TB) (dir, why string) {
	tb.Helper()
	const needs = "needs the right to mount a tmpfs"
	if os.Getuid() != 0 {
		return "", needs
	}
	root, err := os.MkdirTemp("/tmp", "perdure-disk-") //nolint:usetesting // the server, another user, has to get in
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := exec.CommandContext(tb.Context(), "mount", "-t", "tmpfs", "-o", "size="+diskSize, "tmpfs", root).Run(); err != nil {
		return "", needs
	}
	tb.Cleanup(func() { _ = exec.Command("umount", "-l", root).Run() })
	dir = filepath.Join(root, "table")
	if err := os.Mkdir(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	return dir, ""
}

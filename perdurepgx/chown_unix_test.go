//go:build unix

package perdurepgx_test

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// chownLike gives files the owner that another file has.
func chownLike(t *testing.T, like fs.FileInfo, paths ...string) {
	t.Helper()
	s, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner is known")
	}
	for _, p := range paths {
		if err := os.Chown(p, int(s.Uid), int(s.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package state

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// owned is what the system says of a file of another user: only root could make
// one for a test.
type owned struct {
	fs.FileInfo

	uid int
}

// Sys has the owner in it.
func (o owned) Sys() any { return &syscall.Stat_t{Uid: uint32(o.uid)} }

func TestWhatBelongsToAnotherUserIsRefused(t *testing.T) {
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		uid     int
		refused bool
	}{
		"mine":      {os.Geteuid(), false},
		"root's":    {0, false},
		"another's": {os.Geteuid() + 1000, true},
	} {
		err := own(dir, owned{info, c.uid})
		if e, ok := errors.AsType[*OwnerError](err); ok != c.refused || ok && e.UID != c.uid {
			t.Errorf("%s: own = %v, refused is to be %v", name, err, c.refused)
		}
	}
	if err := own(dir, info); err != nil {
		t.Errorf("as the system tells it: own = %v", err)
	}
}

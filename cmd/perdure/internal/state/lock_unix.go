//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lock takes the file for this process; the kernel lets go of it when the
// process ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in the state directory
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
		holder, _ := io.ReadAll(io.LimitReader(f, 20)) // it only makes the message better
		if pid := strings.TrimSpace(string(holder)); pid != "" {
			err = fmt.Errorf("%w: process %s", ErrLocked, pid)
		}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// private fails if others than the owner have any of the permissions that want
// does not give.
func private(path string, info fs.FileInfo, want fs.FileMode) error {
	if mode := info.Mode().Perm(); mode&^want != 0 {
		return &PermissionError{Path: path, Mode: mode, Want: want}
	}
	return nil
}

// own fails if a directory belongs neither to this user nor to root: whoever
// owns it can put a link where a file is expected, and what is written goes
// through it.
func own(path string, info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return &OwnerError{Path: path, UID: int(s.Uid)}
	}
	return nil
}

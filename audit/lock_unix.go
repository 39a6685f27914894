//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lock takes the directory for one writer. The kernel lets go of it when the
// process ends, however it ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in the trail's directory
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 20)) // it only makes the message better
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
			if pid := strings.TrimSpace(string(holder)); pid != "" {
				err = fmt.Errorf("%w (process %s)", ErrLocked, pid)
			}
		}
		return nil, errors.Join(err, f.Close())
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(f.Truncate(0), second(f.WriteAt([]byte(pid), 0))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// locked reports whether a writer has the directory. A writer that begins in
// that very moment finds it taken, so only ask when the answer matters.
func locked(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockFile)) //nolint:gosec // in the trail's directory
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only asked
	return errors.Is(flock(f, syscall.LOCK_SH), syscall.EWOULDBLOCK)
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func second[T any](_ T, err error) error { return err }

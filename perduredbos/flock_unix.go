//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package perduredbos

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

var errLocked = errors.New("locked by another process")

// lockFile opens, or makes, the file and locks it. The lock ends with the returned file, or with the
// process, however it ends. If another one has it, the error is errLocked.
func lockFile(name string, create bool) (*os.File, error) {
	flags := os.O_RDWR | os.O_CREATE
	if create {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(name, flags, 0o600) //nolint:gosec // the name is made of the directory that was configured
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockHeld reports whether somebody has the lock, and does not get in the way of others who ask.
func lockHeld(name string) (bool, error) {
	f, err := os.Open(name) //nolint:gosec // the name is made of the directory that was configured
	if err != nil {
		return false, err
	}
	err = flock(f, syscall.LOCK_SH)
	held := errors.Is(err, errLocked)
	if held {
		err = nil
	}
	return held, errors.Join(err, f.Close())
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		case err != nil:
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return nil
	}
}

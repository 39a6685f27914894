//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// lock fails: without a lock two processes would overwrite each other's state.
func lock(string) (*os.File, error) {
	return nil, fmt.Errorf("%w: no locks on this system", errors.ErrUnsupported)
}

// private passes: permissions are no modes here.
func private(string, fs.FileInfo, fs.FileMode) error { return nil }

// own passes: owners are no numbers here.
func own(string, fs.FileInfo) error { return nil }

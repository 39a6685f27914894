//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package audit

import (
	"errors"
	"os"
)

// lock fails: without a lock two writers would break the chain.
func lock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// locked reports whether a writer has the directory.
func locked(string) bool { return false }

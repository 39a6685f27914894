//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package perduredbos

import (
	"errors"
	"os"
)

var (
	errLocked  = errors.New("locked by another process")
	errNoLocks = errors.New("a directory of runs needs file locks that this system does not have: keep runs in a PostgreSQL")
)

func lockFile(string, bool) (*os.File, error) { return nil, errNoLocks }

func lockHeld(string) (bool, error) { return false, errNoLocks }

package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrLocked says that another process uses the directory.
var ErrLocked = errors.New("another perdure uses the state directory")

// Dir is a state directory that this process has locked. It is safe for
// concurrent use, as long as no two goroutines write the same name at once.
type Dir struct {
	path string
	lock *os.File
}

// OwnerError says that a directory belongs to another user, who can read and
// exchange what is in it.
type OwnerError struct {
	Path string
	UID  int // whose it is
}

// Error returns the path and whose it is.
func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s: belongs to user %d, who could read and exchange what is in it", e.Path, e.UID)
}

// Hint returns what mends it.
func (e *OwnerError) Hint() string {
	return fmt.Sprintf("run perdure as user %d, or chown %s, or name another one", e.UID, e.Path)
}

// Default returns the state directory of whoever runs the program: what systemd
// made for the service ($STATE_DIRECTORY, of several the first), else
// $XDG_STATE_HOME/perdure, else ~/.local/state/perdure (XDG Base Directory
// Specification 0.8). It fails if none is known.
func Default() (string, error) {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) { // the specification: others are ignored
		return filepath.Join(dir, "perdure"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "perdure"), nil
}

// Open makes the directory with mode 0700 if it is not there, and locks it. It
// fails with ErrLocked if another process has it, and if others may read or
// change what is in it, or own it.
func Open(path string) (*Dir, error) {
	if err := Make(path); err != nil {
		return nil, err
	}
	f, err := lock(filepath.Join(path, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Dir{path: path, lock: f}, nil
}

// Make makes the directory with mode 0700 if it is not there, without locking
// it. It fails if others may read or change what is in it, or own it.
func Make(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(private(path, info, 0o700), own(path, info))
}

// Path returns the path of a file in the directory.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Close gives the directory to the next process.
func (d *Dir) Close() error { return d.lock.Close() }

// Write replaces a file by what write writes, in one step: whoever reads it
// meanwhile, and whatever ends the process, sees the old file or the new one.
// If write fails, the old one stays.
func (d *Dir) Write(name string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(d.path, name+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove(tmp.Name()))
		}
	}()
	if err := errors.Join(write(tmp), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), d.Path(name)); err != nil {
		return err
	}
	return syncDir(d.path)
}

// Read gives a file to read, and reports whether there is one. If read fails,
// the file is set aside under another name, so that it can be looked at and is
// not met again: aside is that name, and err says why.
func (d *Dir) Read(name string, read func(io.Reader) error) (found bool, aside string, err error) {
	f, err := os.Open(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", nil
	}
	if err == nil {
		err = read(f)
		_ = f.Close() // it was only read
	}
	if err == nil {
		return true, "", nil
	}
	aside = d.Path(name) + ".broken-" + time.Now().UTC().Format("20060102T150405.000")
	if failed := os.Rename(d.Path(name), aside); failed != nil {
		return true, "", errors.Join(err, failed)
	}
	return true, aside, err
}

func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes a rename durable. Where a directory cannot be synced, the
// rename is as durable as the system makes it.
func syncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // the state directory
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return errors.Join(err, d.Close())
	}
	return d.Close()
}

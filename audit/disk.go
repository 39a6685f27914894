package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The files of a trail besides those with records.
const (
	lockFile       = "audit.lock"
	privateFile    = "audit.key"
	publicFile     = "audit.pub"
	checkpointFile = "audit.checkpoint"
)

// segment is one file with records; its name says the sequence number that
// its first record has.
type segment struct {
	name  string
	first uint64
}

func segmentName(first uint64) string { return fmt.Sprintf("audit-%016d.jsonl", first) }

// segments lists the files with records in the order of their names.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []segment
	for _, e := range entries {
		digits, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".jsonl"), "audit-")
		first, err := strconv.ParseUint(digits, 10, 64)
		if ok && err == nil && e.Name() == segmentName(first) && first > 0 && e.Type().IsRegular() {
			list = append(list, segment{e.Name(), first})
		}
	}
	slices.SortFunc(list, func(a, b segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return list, nil
}

// makeDir makes the directory and those above it, and sees to it that their
// names are on the disk too.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is no directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the trail's own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replaceFile writes a file so that after a crash it holds either the old
// content or the new.
func replaceFile(name string, content []byte, mode fs.FileMode) error {
	next := name + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode) //nolint:gosec // beside the trail
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(next, name)
}

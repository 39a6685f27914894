package measure

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Tree returns the time that the process pid and its children have had of all
// cores. A child that has ended does not count any more. Zero where the kernel
// does not say.
func Tree(pid int) time.Duration {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var all time.Duration
	for _, path := range stats {
		stat, err := os.ReadFile(path) //nolint:gosec // below /proc
		if err != nil {
			continue // it has ended
		}
		// After the name, which may hold anything, in parentheses: the state and the parent.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		own := filepath.Base(filepath.Dir(path)) == strconv.Itoa(pid)
		if !own && (len(fields) < 2 || string(fields[1]) != strconv.Itoa(pid)) {
			continue
		}
		all += ran(filepath.Dir(path))
	}
	return all
}

// ran returns the time that the threads of one process have had.
func ran(dir string) time.Duration {
	threads, _ := filepath.Glob(dir + "/task/*/schedstat")
	var all time.Duration
	for _, thread := range threads {
		stat, _ := os.ReadFile(thread) //nolint:gosec // below /proc
		if fields := bytes.Fields(stat); len(fields) > 0 {
			n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
			all += time.Duration(n)
		}
	}
	return all
}

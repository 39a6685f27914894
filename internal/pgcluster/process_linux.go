package pgcluster

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes lists the processes of the server, the postmaster included. They are
// found by their working directory, which is the data directory: children whose postmaster was
// killed have another parent, and zombies have no directory.
func (c *Cluster) processes() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !c.owns(pid) {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		stat, err := os.ReadFile(filepath.Join(dir, "stat")) //nolint:gosec // under /proc
		if err != nil {
			continue // it has just ended
		}
		title, err := os.ReadFile(filepath.Join(dir, "cmdline")) //nolint:gosec // under /proc
		if err != nil {
			continue
		}
		text := strings.TrimSpace(string(bytes.ReplaceAll(title, []byte{0}, []byte{' '})))
		found = append(found, Process{PID: pid, Title: text, Client: serves(text), stopped: stopped(stat)})
	}
	return found, nil
}

// owns reports whether a live process belongs to this server.
func (c *Cluster) owns(pid int) bool {
	dir, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && dir == c.data()
}

// stopped reads the state from /proc/PID/stat, which follows the name in parentheses.
func stopped(stat []byte) bool {
	i := bytes.LastIndexByte(stat, ')')
	return i >= 0 && i+2 < len(stat) && stat[i+2] == 'T'
}

//go:build unix && !linux

package pgcluster

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// processes lists the processes of the server, the postmaster included, as ps
// shows them. Children of a killed postmaster cannot be told from others here; they
// end by themselves.
func (c *Cluster) processes() ([]Process, error) {
	r := c.run.Load()
	if r == nil {
		return nil, nil
	}
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,stat=,command=").Output() //nolint:noctx // it ends at once
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var found []Process
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[2], "Z") {
			continue
		}
		pid, pidErr := strconv.Atoi(f[0])
		parent, parentErr := strconv.Atoi(f[1])
		if pidErr != nil || parentErr != nil {
			continue
		}
		if parent == r.pid() || (pid == r.pid() && r.alive()) {
			title := strings.Join(f[3:], " ")
			found = append(found, Process{PID: pid, Title: title, Client: serves(title), stopped: strings.HasPrefix(f[2], "T")})
		}
	}
	return found, nil
}

// owns reports whether a live process belongs to this server.
func (c *Cluster) owns(pid int) bool {
	all, err := c.processes()
	if err != nil {
		return false
	}
	for _, p := range all {
		if p.PID == pid {
			return true
		}
	}
	return false
}

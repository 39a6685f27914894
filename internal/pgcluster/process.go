package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A Process is one process of the server other than the postmaster.
type Process struct {
	PID    int    // PID is the process id, which pg_backend_pid() and BackendKeyData show too.
	Title  string // Title is what ps shows, such as "postgres: alice shop 127.0.0.1(40312) idle in transaction".
	Client bool   // Client reports whether it serves a client's queries.

	stopped bool
}

// Backends returns the processes that serve a client's queries. It asks the
// operating system and not the server, so that it also works while that is frozen.
func (c *Cluster) Backends() ([]Process, error) {
	all, err := c.processes()
	if err != nil {
		return nil, err
	}
	clients := all[:0]
	for _, p := range all {
		if p.Client {
			clients = append(clients, p)
		}
	}
	return clients, nil
}

// clientTitle is the title of a backend: user, database, address and what it does.
var clientTitle = regexp.MustCompile(`^postgres: .*(\[local\]|\d\(\d+\))`)

func serves(title string) bool {
	return clientTitle.MatchString(title) && !strings.Contains(title, "walsender")
}

// KillBackend sends SIGKILL to one process of the server. The postmaster then
// disconnects all clients and recovers, as after a crash; it stays the same postmaster. Until it has
// noticed it serves the others; see AwaitRecovery. A pid that is not of this server is an error.
func (c *Cluster) KillBackend(pid int) error { return c.signalOwn(pid, syscall.SIGKILL) }

// AwaitRecovery waits until the server answers after KillBackend of pid.
func (c *Cluster) AwaitRecovery(ctx context.Context, pid int) error {
	r := c.run.Load()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	// The postmaster refuses clients from the moment at which it collects the process.
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return c.ready(ctx, r)
}

// FreezeBackend stops one process of the server (SIGSTOP) until ThawBackend.
func (c *Cluster) FreezeBackend(pid int) error { return c.signalOwn(pid, syscall.SIGSTOP) }

// ThawBackend lets a frozen process go on.
func (c *Cluster) ThawBackend(pid int) error { return c.signalOwn(pid, syscall.SIGCONT) }

func (c *Cluster) signalOwn(pid int, sig syscall.Signal) error {
	if !c.owns(pid) {
		return fmt.Errorf("process %d is not of this server", pid)
	}
	return signal(pid, sig)
}

// Freeze stops the postmaster and every child (SIGSTOP), so that the whole server
// is silent: connections are still accepted by the kernel, and nobody answers. It returns when
// every process has stopped.
func (c *Cluster) Freeze() error {
	r := c.run.Load()
	if !r.alive() {
		return ErrNotRunning
	}
	c.frozen.Store(true)
	if err := signal(r.pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	limit := time.NewTimer(settle)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		// A child that was forked just before the postmaster stopped shows up in a later look.
		all, err := c.processes()
		if err != nil {
			return err
		}
		moving := 0
		for _, p := range all {
			if p.stopped {
				continue
			}
			moving++
			if err := signal(p.PID, syscall.SIGSTOP); err != nil {
				return err
			}
		}
		if moving == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("freeze: %d processes do not stop", moving)
		}
	}
}

// Thaw lets a frozen server go on; it does nothing to one that is not frozen.
// It also thaws what FreezeBackend froze.
func (c *Cluster) Thaw() error {
	all, err := c.processes()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.stopped {
			if err := signal(p.PID, syscall.SIGCONT); err != nil {
				return err
			}
		}
	}
	c.frozen.Store(false)
	return nil
}

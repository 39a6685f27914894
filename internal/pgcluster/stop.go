package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A StopMode is one of PostgreSQL's three ways to shut down.
type StopMode int

// The stop modes, as in pg_ctl stop -m.
const (
	Smart     StopMode = iota + 1 // Smart waits until every client has disconnected.
	Fast                          // Fast rolls open transactions back and disconnects clients (57P01).
	Immediate                     // Immediate drops everything; the next start recovers from the WAL.
)

// signal is what the postmaster understands.
func (m StopMode) signal() (syscall.Signal, error) {
	switch m {
	case Smart:
		return syscall.SIGTERM, nil
	case Fast:
		return syscall.SIGINT, nil
	case Immediate:
		return syscall.SIGQUIT, nil
	default:
		return 0, fmt.Errorf("stop mode: %d is not Smart, Fast or Immediate", m)
	}
}

// Stop shuts the server down and waits until all its processes have ended. A
// frozen server is thawed. When ctx ends first, the server is still stopping. The
// error is ErrNotRunning when there is nothing to stop.
func (c *Cluster) Stop(ctx context.Context, mode StopMode) error {
	c.life.Lock()
	defer c.life.Unlock()
	return c.stop(ctx, mode)
}

func (c *Cluster) stop(ctx context.Context, mode StopMode) error {
	sig, err := mode.signal()
	if err != nil {
		return err
	}
	r := c.run.Load()
	if !r.alive() {
		return ErrNotRunning
	}
	if err := signal(r.pid(), sig); err != nil {
		return err
	}
	if err := c.Thaw(); err != nil {
		return err
	}
	select {
	case <-r.done:
		return c.reap()
	case <-ctx.Done():
		return fmt.Errorf("stop: %w", context.Cause(ctx))
	}
}

// Restart stops the server with the mode Fast and starts it again.
func (c *Cluster) Restart(ctx context.Context) error {
	c.life.Lock()
	defer c.life.Unlock()
	if err := c.stop(ctx, Fast); err != nil {
		return err
	}
	return c.start(ctx)
}

// Kill sends SIGKILL to the postmaster and waits until its children are gone
// too, so that Start can follow at once. As in life, the children end by
// themselves when they notice, and a statement that runs, a COMMIT included, may finish
// before. Those that have not ended after two seconds, and those that are frozen, are killed as well.
func (c *Cluster) Kill() error {
	c.life.Lock()
	defer c.life.Unlock()
	r := c.run.Load()
	if !r.alive() {
		return ErrNotRunning
	}
	return c.kill(r)
}

func (c *Cluster) kill(r *run) error {
	if err := signal(r.pid(), syscall.SIGKILL); err != nil {
		return err
	}
	<-r.done
	return c.reap()
}

// reap waits until no process of the server is left, and ends those that stay.
func (c *Cluster) reap() error {
	const grace = 2 * time.Second
	patience := time.NewTimer(grace)
	defer patience.Stop()
	limit := time.NewTimer(grace + settle)
	defer limit.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	killing := c.frozen.Load()
	for {
		left, err := c.processes()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			c.frozen.Store(false)
			return nil
		}
		for _, p := range left {
			if killing || p.stopped {
				if err := signal(p.PID, syscall.SIGKILL); err != nil {
					return err
				}
			}
		}
		select {
		case <-tick.C:
		case <-patience.C:
			killing = true
		case <-limit.C:
			return fmt.Errorf("%d processes of the server do not end", len(left))
		}
	}
}

// Close stops the server, whatever its state, and removes its directory and
// shared memory. It may be called more than once. Replicas are clusters of their own and have
// to be closed too.
func (c *Cluster) Close() error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.closed.Swap(true) {
		return nil
	}
	errs := []error{c.halt(), c.freeSharedMemory(), os.RemoveAll(c.root)}
	return errors.Join(append(errs, c.guard.dismiss())...)
}

// halt stops the server at once, by force when it does not obey.
func (c *Cluster) halt() error {
	r := c.run.Load()
	if r.alive() {
		if err := errors.Join(signal(r.pid(), syscall.SIGQUIT), c.Thaw()); err != nil {
			return err
		}
		patience := time.NewTimer(settle)
		defer patience.Stop()
		select {
		case <-r.done:
		case <-patience.C:
			return c.kill(r)
		}
	}
	return c.reap()
}

// freeSharedMemory removes the System V segment that a killed postmaster leaves;
// its id is the last word of the seventh line of postmaster.pid. A clean stop removes both.
func (c *Cluster) freeSharedMemory() error {
	const segmentLine = 7
	text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < segmentLine {
		return nil
	}
	fields := strings.Fields(lines[segmentLine-1])
	if len(fields) == 0 {
		return nil
	}
	// The segment may be gone already, which ipcrm reports as an error like any other.
	_ = exec.Command("ipcrm", "-m", fields[len(fields)-1]).Run() //nolint:gosec,noctx // a number from our own file; it ends at once
	return nil
}

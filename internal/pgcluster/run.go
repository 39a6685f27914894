package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	pollEvery = 10 * time.Millisecond // between two looks at something that does not notify
	settle    = 5 * time.Second       // how long processes may take to end by themselves
)

var (
	// ErrRunning says that the server runs already.
	ErrRunning = errors.New("server is running already")
	// ErrNotRunning says that the server does not run.
	ErrNotRunning = errors.New("server is not running")
	errClosed     = errors.New("cluster is closed")
	errPortTaken  = errors.New("port is taken")
)

// A run is one life of a postmaster.
type run struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the postmaster has ended
}

func (r *run) pid() int { return r.cmd.Process.Pid }

func (r *run) alive() bool {
	if r == nil {
		return false
	}
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// Start starts the server and waits until it answers a query, crash recovery
// included. The error holds the end of the server's log when the server gave up. The port
// stays the same over restarts.
func (c *Cluster) Start(ctx context.Context) error {
	c.life.Lock()
	defer c.life.Unlock()
	return c.start(ctx)
}

func (c *Cluster) start(ctx context.Context) error {
	if c.closed.Load() {
		return errClosed
	}
	if c.Running() {
		return ErrRunning
	}
	// Orphans of a killed postmaster hold its shared memory: a new one would refuse to start.
	if err := c.reap(); err != nil {
		return err
	}
	first := c.port.Load() == 0
	for tries := 5; ; tries-- {
		port, err := c.choosePort(ctx)
		if err != nil {
			return err
		}
		if err := c.configure(port); err != nil {
			return err
		}
		c.port.Store(int64(port))
		err = c.launch(ctx)
		if err == nil || !first || c.cfg.Port != 0 || tries == 0 || !errors.Is(err, errPortTaken) {
			return err
		}
		c.port.Store(0)
	}
}

func (c *Cluster) choosePort(ctx context.Context) (int, error) {
	if port := c.Port(); port != 0 {
		return port, nil
	}
	if c.cfg.Port != 0 {
		return c.cfg.Port, nil
	}
	return freePort(ctx)
}

func (c *Cluster) launch(ctx context.Context) error {
	log, err := os.OpenFile(c.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the server has its own descriptor; nothing is written through this one
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	// No context: the server lives until it is stopped.
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.data()) //nolint:gosec,noctx // the binary that was found
	cmd.Dir = c.root
	cmd.Env = environ()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = c.account.attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &run{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		_ = cmd.Wait() // how it ended is in the log; that it ended is what matters
	}()
	c.frozen.Store(false)
	c.run.Store(r)
	if err := c.ready(ctx, r); err != nil {
		if r.alive() {
			err = errors.Join(err, c.kill(r))
		}
		tail := c.logTail(from)
		if strings.Contains(tail, "Address already in use") {
			err = errors.Join(errPortTaken, err)
		}
		return fmt.Errorf("start: %w: %s", err, tail)
	}
	return nil
}

// ready waits until the server answers and is the one that r started.
func (c *Cluster) ready(ctx context.Context, r *run) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return ErrNotRunning
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		dir, err := c.ask(ctx, "show data_directory")
		if err != nil {
			continue // refused, or 57P03: still starting; r.done and ctx end the loop
		}
		if dir != c.data() {
			return fmt.Errorf("%w: %d, by the server of %s", errPortTaken, c.Port(), dir)
		}
		return nil
	}
}

// ask runs statements as the superuser and returns the first value of the last
// result, or nothing when that has no rows.
func (c *Cluster) ask(ctx context.Context, sql string) (string, error) {
	conn, err := pgconn.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's own result says whether it worked
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if n := len(results); n > 0 && len(results[n-1].Rows) > 0 {
		return string(results[n-1].Rows[0][0]), nil
	}
	return "", nil
}

// logTail returns the end of what the log holds from an offset on.
func (c *Cluster) logTail(from int64) string {
	const keep = 2000
	log, err := os.ReadFile(c.Log())
	if err != nil || from > int64(len(log)) {
		return ""
	}
	log = bytes.TrimSpace(log[from:])
	return string(log[max(0, len(log)-keep):])
}

// Running reports whether the postmaster is alive; a frozen one is.
func (c *Cluster) Running() bool { return c.run.Load().alive() }

// PID returns the process id of the postmaster, or zero when it does not run.
func (c *Cluster) PID() int {
	if r := c.run.Load(); r.alive() {
		return r.pid()
	}
	return 0
}

// signal sends a signal to one process; a process that is gone is no error.
func signal(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s to %d: %w", sig, pid, err)
	}
	return nil
}

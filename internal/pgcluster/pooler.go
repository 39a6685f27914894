package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// EnvPgBouncer is the environment variable that names the program of PgBouncer,
// such as /usr/sbin/pgbouncer.
const EnvPgBouncer = "PERDURE_PGBOUNCER"

// PoolerConfig says how to make a Pooler.
type PoolerConfig struct {
	// Server is the address of the server, host:port, such as Cluster.Addr; it must be set.
	Server string
	// User and Password are those with which clients come and with which the pooler
	// logs in at the server. User must be set, and may not hold a quote or a line break.
	User, Password string
	// Size is how many connections to the server there are at most for a user and
	// database. Zero means 8.
	Size int
	// Settings are added to the section [pgbouncer] of its configuration.
	Settings map[string]string
}

// A Pooler is a private PgBouncer in transaction mode: a client has a connection
// to the server for the length of a transaction. It listens on a loopback port of its own, never
// runs as root, and is ended with its owner. Its methods are safe for concurrent use.
type Pooler struct {
	cfg     PoolerConfig
	program string
	root    string
	port    int
	account account
	guard   *watchdog

	mu     sync.Mutex // guards the fields below
	run    *run
	closed bool
}

// NoPgBouncerError says that there is no program of PgBouncer.
type NoPgBouncerError struct{}

// Error implements error.
func (e *NoPgBouncerError) Error() string { return "no pgbouncer found in PATH or /usr/sbin" }

// Hint says what to install.
func (e *NoPgBouncerError) Hint() string {
	return "make setup unpacks it where there is apt; else install pgbouncer (it need not run), or set " + EnvPgBouncer + " to its program"
}

// FindPgBouncer returns the program of PgBouncer: what $PERDURE_PGBOUNCER names
// when that is set, else the one in PATH or in /usr/sbin. The error is a *NoPgBouncerError.
func FindPgBouncer() (string, error) {
	for _, name := range []string{os.Getenv(EnvPgBouncer), "pgbouncer", "/usr/sbin/pgbouncer"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", &NoPgBouncerError{}
}

// NewPooler makes a pooler and starts it. Whoever called it must call Close. A missing
// program is a *NoPgBouncerError.
func NewPooler(ctx context.Context, cfg PoolerConfig) (*Pooler, error) {
	if cfg.User == "" || strings.ContainsAny(cfg.User+cfg.Password, "\"\n") {
		return nil, fmt.Errorf("user and password: %q is empty, or one of them holds a quote or a line break", cfg.User)
	}
	if cfg.Size == 0 {
		cfg.Size = 8
	}
	program, err := FindPgBouncer()
	if err != nil {
		return nil, err
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	root, err := makeRoot("", who)
	if err != nil {
		return nil, err
	}
	guard, err := startWatchdog(root, who)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	p := &Pooler{cfg: cfg, program: program, root: root, account: who, guard: guard}
	if p.port, err = freePort(ctx); err == nil {
		err = p.configure()
	}
	if err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// data is its working directory, by which the watchdog finds it.
func (p *Pooler) data() string { return filepath.Join(p.root, "data") }

func (p *Pooler) configure() error {
	host, port, err := net.SplitHostPort(p.cfg.Server)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if err := errors.Join(os.Mkdir(p.data(), 0o700), p.account.own(p.data())); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[databases]\n* = host=%s port=%s\n\n[pgbouncer]\n", host, port)
	for _, line := range []string{
		"listen_addr = 127.0.0.1", "listen_port = " + strconv.Itoa(p.port), "unix_socket_dir =",
		"auth_type = trust", "auth_file = users.txt", "pool_mode = transaction",
		"default_pool_size = " + strconv.Itoa(p.cfg.Size), "max_client_conn = 500",
		"logfile = " + filepath.Join(p.root, "pgbouncer.log"), "ignore_startup_parameters = extra_float_digits",
	} {
		b.WriteString(line + "\n")
	}
	for name, value := range p.cfg.Settings {
		b.WriteString(name + " = " + value + "\n")
	}
	for name, text := range map[string]string{
		"pgbouncer.ini": b.String(), "users.txt": fmt.Sprintf("%q %q\n", p.cfg.User, p.cfg.Password),
	} {
		path := filepath.Join(p.data(), name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), p.account.own(path)); err != nil {
			return err
		}
	}
	return nil
}

// Start starts the pooler again after Kill, on the same port, and returns when it
// accepts connections; that the server behind it is there is not asked.
func (p *Pooler) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	if p.run.alive() {
		return ErrRunning
	}
	// No context: it lives until it is stopped.
	cmd := exec.Command(p.program, "-q", "pgbouncer.ini") //nolint:gosec,noctx // the program that was found
	cmd.Dir = p.data()
	cmd.Env = environ()
	cmd.SysProcAttr = p.account.attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &run{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		_ = cmd.Wait() // that it ended is what matters
	}()
	p.run = r
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-r.done:
			return fmt.Errorf("pgbouncer has ended: %s", p.logTail())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Pooler) logTail() string {
	const keep = 2000
	log, err := os.ReadFile(filepath.Join(p.root, "pgbouncer.log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(log[max(0, len(log)-keep):]))
}

// Addr returns the pooler's address, such as "127.0.0.1:23456".
func (p *Pooler) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// Kill sends SIGKILL to the pooler and waits until it is gone. The server ends the sessions
// that it had.
func (p *Pooler) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kill()
}

func (p *Pooler) kill() error {
	if !p.run.alive() {
		return ErrNotRunning
	}
	if err := signal(p.run.pid(), syscall.SIGKILL); err != nil {
		return err
	}
	<-p.run.done
	return nil
}

// Close ends the pooler and removes its directory. It may be called more than once.
func (p *Pooler) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	err := p.kill()
	if errors.Is(err, ErrNotRunning) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(p.root), p.guard.dismiss())
}

// URL returns the connection URL of the user for a database, by way of the pooler.
func (p *Pooler) URL(database string) string {
	return "postgres://" + p.cfg.User + "@" + p.Addr() + "/" + database + "?sslmode=disable"
}

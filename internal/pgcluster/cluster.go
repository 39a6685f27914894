package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Config says how to make a cluster. Its zero value is usable.
type Config struct {
	// Dir is the directory in which the cluster's own directory is created.
	// Empty means the system's directory for temporary files, or /tmp where that
	// path is too long for a Unix socket.
	Dir string
	// BinDir holds the server binaries. Empty means to look for them, see FindBinaries.
	BinDir string
	// Port is the TCP port on 127.0.0.1. Zero means a free one.
	Port int
	// User is the name of the database superuser. Empty means "postgres".
	User string
	// Settings are added to postgresql.conf and replace this package's own,
	// such as {"fsync": "off", "max_connections": "20"}. The settings that
	// keep the server private (port, listen_addresses, sockets) cannot be replaced.
	Settings map[string]string
}

// A Cluster is one private PostgreSQL server with its directory. Its methods
// are safe for concurrent use; those that start or stop the server wait for each other.
type Cluster struct {
	cfg     Config
	bin     string
	version string
	root    string // holds data, sock and server.log
	account account
	guard   *watchdog

	life sync.Mutex // held while the server is being started or stopped
	run  atomic.Pointer[run]
	port atomic.Int64

	frozen atomic.Bool
	closed atomic.Bool
}

// New finds the server binaries and makes a new cluster with initdb; Start
// starts it. Whoever called New must call Close. A missing server is a *NoBinariesError.
func New(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.initialize(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare makes the directory of a cluster, with its watchdog and without data.
func prepare(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Port < 0 || cfg.Port > 65535 {
		return nil, fmt.Errorf("port: %d is not between 0 and 65535", cfg.Port)
	}
	if cfg.User == "" {
		cfg.User = "postgres"
	}
	cfg.Settings = maps.Clone(cfg.Settings)
	bin, err := FindBinaries(cfg.BinDir)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output() //nolint:gosec // the binary that was found
	if err != nil {
		return nil, fmt.Errorf("postgres --version: %w", err)
	}
	version, err := serverVersion(out)
	if err != nil {
		return nil, fmt.Errorf("postgres --version: %w", err)
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	root, err := makeRoot(cfg.Dir, who)
	if err != nil {
		return nil, err
	}
	guard, err := startWatchdog(root, who)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	return &Cluster{cfg: cfg, bin: bin, version: version, root: root, account: who, guard: guard}, nil
}

// makeRoot creates the cluster's own directory, short enough for a socket in it:
// the address of a Unix socket holds 103 bytes on macOS and 107 on Linux.
func makeRoot(parent string, who account) (string, error) {
	if parent == "" {
		parent = os.TempDir()
		if len(parent) > 60 || !who.enters(parent) {
			parent = "/tmp"
		}
	}
	root, err := os.MkdirTemp(parent, "perdure-pg-")
	if err != nil {
		return "", err
	}
	if root, err = filepath.Abs(root); err != nil {
		return "", err
	}
	// Processes name their directory by its real path, and they are found by it.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return "", err
	}
	sock := filepath.Join(root, "sock")
	if err := errors.Join(os.Mkdir(sock, 0o700), who.own(root), who.own(sock)); err != nil {
		return "", errors.Join(err, os.RemoveAll(root))
	}
	return root, nil
}

func (c *Cluster) initialize(ctx context.Context) error {
	if err := c.tool(ctx, "initdb", "-D", c.data(), "-U", c.cfg.User, "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString("\ninclude 'perdure.conf'\n")
	return errors.Join(err, conf.Close())
}

// configure writes perdure.conf, the settings of this server.
func (c *Cluster) configure(port int) error {
	settings := map[string]string{
		// Enough for every test, and small enough for many servers on one machine.
		"shared_buffers": "32MB", "max_connections": "100", "max_wal_senders": "10",
		"wal_keep_size": "128MB", "log_line_prefix": "%m [%p] %q%u@%d ",
	}
	maps.Copy(settings, c.cfg.Settings)
	maps.Copy(settings, map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(port),
		"unix_socket_directories": filepath.Join(c.root, "sock"), "logging_collector": "off",
		// Segments in /dev/shm would outlive a kill -9; these are files in the data directory.
		"dynamic_shared_memory_type": "mmap",
	})
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.ReplaceAll(settings[name], "'", "''")
		if strings.ContainsAny(name, " =\n'") || strings.Contains(value, "\n") {
			return fmt.Errorf("settings.%s: not a valid setting", name)
		}
		b.WriteString(name + " = '" + value + "'\n")
	}
	return c.write("perdure.conf", b.String())
}

// write replaces a file in the data directory.
func (c *Cluster) write(name, text string) error {
	path := filepath.Join(c.data(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil { //nolint:gosec // in our own directory
		return err
	}
	return c.account.own(path)
}

// tool runs a program of the server's own until it ends.
func (c *Cluster) tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...) //nolint:gosec // the binary that was found
	cmd.Dir = c.root
	cmd.Env = environ()
	cmd.SysProcAttr = c.account.attributes()
	cmd.WaitDelay = settle // a child of the tool may hold its output open
	if out, err := cmd.CombinedOutput(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// freePort looks below the range from which systems take the ports of outgoing
// connections (32768 on Linux, 49152 on macOS): those would take the port of a stopped server.
func freePort(ctx context.Context) (int, error) {
	const first, last, tries = 20000, 32000, 100
	var listen net.ListenConfig
	var err error
	for range tries {
		port := first + rand.IntN(last-first) //nolint:gosec // a port is no secret
		var l net.Listener
		if l, err = listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}

func (c *Cluster) data() string { return filepath.Join(c.root, "data") }

// Log returns the path of the server's log.
func (c *Cluster) Log() string { return filepath.Join(c.root, "server.log") }

// Version returns the version of the server binaries, such as "15.18".
func (c *Cluster) Version() string { return c.version }

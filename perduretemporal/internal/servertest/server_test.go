//go:build temporal && unix

package servertest

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/perdure/perdure/perduretemporal"
)

// server is a Temporal server of one test. It can be killed and started again
// with what it knew.
type server struct {
	addr  string
	args  []string
	log   bytes.Buffer // read after the process has ended
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// newServer starts a server, and ends it with the test.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String()}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s.args = append([]string{"-port", strconv.Itoa(port), "-db", filepath.Join(t.TempDir(), "temporal.db")}, args...)
	s.start(t)
	t.Cleanup(func() {
		s.stdin.Close()
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("temporal server: %v", err)
		}
		if t.Failed() {
			t.Logf("temporal server:\n%s", s.log.Bytes()[max(0, s.log.Len()-1000):])
		}
	})
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(os.Getenv(envServer), s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	var err error
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the server at once.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // says that it was killed
	s.stdin.Close()
}

// open connects to the server as soon as it answers.
func (s *server) open(t *testing.T, c perduretemporal.Config) *perduretemporal.Engine {
	t.Helper()
	c.HostPort = s.addr
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Poll == 0 {
		c.Poll = 50 * time.Millisecond
	}
	e := eventually(t, limit, func(ctx context.Context) (*perduretemporal.Engine, error) { return perduretemporal.Open(ctx, c) })
	t.Cleanup(e.Close)
	return e
}

// eventually asks again until there is an answer without an error.
func eventually[T any](t *testing.T, limit time.Duration, ask func(context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	each := time.NewTicker(50 * time.Millisecond)
	defer each.Stop()
	for {
		v, err := ask(ctx)
		if err == nil {
			return v
		}
		select {
		case <-each.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", limit, err)
		}
	}
}

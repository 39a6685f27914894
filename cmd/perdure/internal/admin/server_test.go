package admin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/admin"
)

// pipes is a listener whose connections are pipes, so that a test runs in a
// synctest bubble: time passes when nobody can go on.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7070} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// running runs a Server until stop is called, which returns what Run did.
func running(t *testing.T, f *fixture) (p *pipes, stop func() error) {
	t.Helper()
	p = newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.server.Run(ctx, p) }()
	return p, func() error {
		cancel()
		return <-ended
	}
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// rest reads until the connection ends and returns what came and after how long.
func rest(conn net.Conn) (string, time.Duration) {
	start := time.Now()
	b, _ := io.ReadAll(conn) // that it ends is what matters
	return string(b), time.Since(start)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		answer string
		atMost time.Duration
	}{
		"nothing is said":               {"", "", 5 * time.Second},
		"headers do not end":            {"GET /api/runs HTTP/1.1\r\nHost: localhost\r\n", "", 5 * time.Second},
		"the body does not come":        {"POST " + hold + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + bearer + "\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", "400 Bad Request", 10 * time.Second},
		"a connection is kept for long": {"GET /api/runs HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK", 60 * time.Second},
		"headers are too large":         {"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 15<<10), "", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, nil)
				p, stop := running(t, f)
				conn := p.dial()
				defer conn.Close()
				send(t, conn, c.text)
				text, took := rest(conn)
				if !strings.Contains(text, c.answer) || took > c.atMost {
					t.Errorf("after %v came %q, want %q within %v", took, text, c.answer, c.atMost)
				}
				if err := stop(); err != nil {
					t.Errorf("Run = %v", err)
				}
			})
		})
	}
}

// ticks is a stream that says something every ten seconds.
func ticks(ended chan<- error) admin.Route {
	return admin.Route{Pattern: "GET /events", Stream: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for {
			_, err := io.WriteString(w, "data: tick\n\n")
			if err == nil {
				err = rc.Flush()
			}
			if err != nil {
				ended <- err
				return
			}
			select {
			case <-r.Context().Done():
				ended <- context.Cause(r.Context())
				return
			case <-time.After(10 * time.Second):
			}
		}
	})}
}

const getEvents = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestAStreamLastsAsLongAsItIsReadAndTheServerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		f := newFixture(t, func(c *admin.Config) { c.Routes = []admin.Route{ticks(ended)} })
		p, stop := running(t, f)
		conn := p.dial()
		defer conn.Close()
		send(t, conn, getEvents)
		start := time.Now()
		in := bufio.NewReader(conn)
		for n := 0; n < 30; {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if strings.HasPrefix(line, "data: tick") {
				n++
			}
		}
		if took := time.Since(start); took < 4*time.Minute {
			t.Errorf("30 ticks in %v", took)
		}
		done := make(chan struct{})
		go func() { defer close(done); _, _ = io.Copy(io.Discard, in) }()
		if err := stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
		<-done
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the stream ended by %v", err)
		}
	})
}

func TestAStreamThatNobodyReadsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		f := newFixture(t, func(c *admin.Config) { c.Routes = []admin.Route{ticks(ended)} })
		p, stop := running(t, f)
		conn := p.dial()
		defer conn.Close()
		send(t, conn, getEvents)
		start := time.Now()
		if err := <-ended; err == nil || time.Since(start) > 45*time.Second {
			t.Errorf("the handler ended after %v by %v", time.Since(start), err)
		}
		if err := stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestARequestThatRunsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{})
		f := newFixture(t, func(c *admin.Config) {
			c.Routes = []admin.Route{{Pattern: "GET /slow", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(begun)
				<-time.After(3 * time.Second)
				_, _ = io.WriteString(w, "done")
			})}}
		})
		p, stop := running(t, f)
		conn := p.dial()
		defer conn.Close()
		send(t, conn, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
		<-begun
		text := make(chan string, 1)
		go func() {
			s, _ := rest(conn)
			text <- s
		}()
		if err := stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
		if s := <-text; !strings.HasSuffix(s, "done") {
			t.Errorf("answer = %q", s)
		}
	})
}

// TestHalfAnAnswerIsNotTakenForAWholeOne: a handler that panics after it began to
// answer costs the connection.
func TestHalfAnAnswerIsNotTakenForAWholeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *admin.Config) {
			c.Routes = []admin.Route{{Pattern: "GET /half", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic("the other half")
			})}}
		})
		p, stop := running(t, f)
		conn := p.dial()
		defer conn.Close()
		send(t, conn, "GET /half HTTP/1.1\r\nHost: localhost\r\n\r\n")
		text, took := rest(conn)
		if !strings.Contains(text, "half") || strings.Contains(text, "0\r\n\r\n") || took > time.Second {
			t.Errorf("after %v came %q, want half an answer and the end of the connection", took, text)
		}
		if err := stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestARequestThatDoesNotEndIsNotWaitedForForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, free := make(chan struct{}), make(chan struct{})
		f := newFixture(t, func(c *admin.Config) {
			c.Routes = []admin.Route{{Pattern: "GET /stuck", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				close(begun)
				<-free
			})}}
		})
		p, stop := running(t, f)
		conn := p.dial()
		defer conn.Close()
		send(t, conn, "GET /stuck HTTP/1.1\r\nHost: localhost\r\n\r\n")
		<-begun
		start := time.Now()
		if err := stop(); err == nil || time.Since(start) > 6*time.Second {
			t.Errorf("after %v Run = %v, want an error after 5 s", time.Since(start), err)
		}
		close(free)
	})
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *admin.Config) {
			c.Routes = []admin.Route{{Pattern: "GET /slow", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				<-time.After(3 * time.Second)
			})}}
		})
		p, stop := running(t, f)
		const slow = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
		for range 256 {
			conn := p.dial()
			defer conn.Close()
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			send(t, conn, slow)
		}
		synctest.Wait()
		start := time.Now()
		conn := p.dial() // is served when one has its answer
		send(t, conn, "GET /api/runs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if text, _ := rest(conn); time.Since(start) != 3*time.Second || !strings.HasPrefix(text, "HTTP/1.1 200") {
			t.Errorf("connection 257 waited for %v, want 3 s: %q", time.Since(start), text)
		}
		if err := stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestConnectionsThatAreKeptKeepNobodyOut: otherwise whoever reaches the port
// could keep the probes from being answered, and have the process killed.
func TestConnectionsThatAreKeptKeepNobodyOut(t *testing.T) {
	for name, first := range map[string]string{"silent": "", "slow": "GET ", "idle": "GET /api/runs HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, nil)
				p, stop := running(t, f)
				for range 256 {
					conn := p.dial()
					defer conn.Close()
					go func() { _, _ = io.Copy(io.Discard, conn) }()
					send(t, conn, first)
				}
				synctest.Wait()
				for range 300 {
					start := time.Now()
					conn := p.dial()
					send(t, conn, "GET /api/runs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
					if text, _ := rest(conn); !strings.HasPrefix(text, "HTTP/1.1 200") || time.Since(start) > time.Second {
						t.Fatalf("beside 256 connections, after %v: %q", time.Since(start), text)
					}
				}
				if err := stop(); err != nil {
					t.Errorf("Run = %v", err)
				}
			})
		})
	}
}

func TestStreamsBeyondTheLimitAreSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *admin.Config) {
			c.Routes = []admin.Route{{Pattern: "GET /events", Stream: true, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
			})}}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var open sync.WaitGroup
		for range 64 {
			open.Go(func() {
				f.server.Handler().ServeHTTP(discard{http.Header{}}, request(http.MethodGet, "/events", "").WithContext(ctx))
			})
		}
		synctest.Wait()
		a := f.ask(t, request(http.MethodGet, "/events", ""))
		if a.status != http.StatusServiceUnavailable || a.json["code"] != "too_many_streams" || a.header.Get("Retry-After") == "" {
			t.Errorf("stream 65 = %d %v", a.status, a.json)
		}
		if a := f.ask(t, request(http.MethodGet, "/api/breakers", "")); a.status != http.StatusOK {
			t.Errorf("beside 64 streams the API says %d", a.status)
		}
		cancel()
		open.Wait()
	})
}

func TestListen(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		ln, err := admin.Listen(t.Context(), addr, false)
		if _, ok := errors.AsType[*admin.RemoteError](err); !ok {
			t.Errorf("Listen(%s) = %v, %v, want a RemoteError", addr, ln, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		ln, err := admin.Listen(t.Context(), addr, false)
		if err != nil {
			t.Errorf("Listen(%s) = %v", addr, err)
			continue
		}
		ln.Close()
	}
	ln, err := admin.Listen(t.Context(), ":0", true)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := admin.Listen(t.Context(), "7070", false); err == nil {
		t.Error("Listen(7070) = nil, want that the host is missing")
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	done := make(chan struct{})
	for i := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 25 {
				f.server.Handler().ServeHTTP(discard{http.Header{}}, request(http.MethodGet, "/metrics", ""))
				f.server.Handler().ServeHTTP(discard{http.Header{}}, request(http.MethodGet, "/api/operations", ""))
				headers := []string{"Authorization", bearer}
				if i%2 == 0 {
					headers = []string{"Authorization", "Bearer wrong"}
				}
				r := request(http.MethodPost, hold, reason, headers...)
				r.RemoteAddr = net.JoinHostPort(net.IPv4(127, 0, 0, byte(i)).String(), "1")
				f.server.Handler().ServeHTTP(discard{http.Header{}}, r)
			}
		}()
	}
	for range 8 {
		<-done
	}
	if n := len(f.trail.all()); n < 20 {
		t.Errorf("%d records", n)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

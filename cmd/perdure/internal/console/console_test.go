package console_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/console"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// TestTheDashboardIsAtTheRoot: the page, its parts and its events are on the
// listener, and end with it.
func TestTheDashboardIsAtTheRoot(t *testing.T) {
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := console.New(t.Context(), console.Config{Managers: []*perdure.Manager{m}, Version: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx, ln) }()
	get := func(path string) (*bufio.Reader, http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, answer.Status)
		}
		return bufio.NewReader(answer.Body), answer.Header
	}
	for path, want := range map[string]string{
		"/": "<title>Idle · shop · perdure</title>", "/runs": "No pipeline has run", "/fragment": `"title":"Idle · shop · perdure"`,
		"/assets/dashboard.css": "prefers-color-scheme", "/assets/dashboard.js": "EventSource",
	} {
		body, header := get(path)
		all, err := io.ReadAll(body)
		if err != nil || !strings.Contains(string(all), want) {
			t.Errorf("%s lacks %q: %.200s, %v", path, want, all, err)
		}
		if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
	events, _ := get("/events")
	m.Breaker("database").HoldOpen("drill")
	for {
		line, err := events.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended before it told of the hold: %v", err)
		}
		if strings.HasPrefix(line, "data: ") && strings.Contains(line, "“drill”") {
			break
		}
	}
	cancel()
	if _, err := io.Copy(io.Discard, events); err != nil {
		t.Errorf("the stream ended with %v, want an orderly end", err)
	}
	if err := <-ran; err != nil {
		t.Errorf("Run() = %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

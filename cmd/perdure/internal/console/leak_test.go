package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/console"
	"github.com/perdure/perdure/internal/leaktest"
	"github.com/perdure/perdure/redact"
)

// TestNoMarkedSecretLeaks looks for users' data in all that the listener says.
func TestNoMarkedSecretLeaks(t *testing.T) { leaktest.Run(t, &server, new(listeners)) }

// listeners are consoles on real listeners, one for each Manager.
type listeners struct {
	log  leaktest.Outlet
	urls []string
	ends []func()
}

// Attach serves a console that shows m.
func (l *listeners) Attach(t *testing.T, m *perdure.Manager) {
	t.Helper()
	log := slog.New(redact.Handler(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	c, err := console.New(t.Context(), console.Config{
		Managers: []*perdure.Manager{m}, Version: "test", Logger: log, Admin: admin.Config{Token: "0123456789abcdef", Logger: log},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := admin.Listen(t.Context(), "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, ln) }()
	l.urls = append(l.urls, "http://"+ln.Addr().String())
	l.ends = append(l.ends, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Channels asks for everything that there is, and tries what is not allowed.
func (l *listeners) Channels(t *testing.T) []leaktest.Channel {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(method string, paths ...string) string {
		var all strings.Builder
		for _, url := range l.urls {
			for _, path := range paths {
				req, err := http.NewRequestWithContext(t.Context(), method, url+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Accept", "application/json, text/html")
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.Copy(&all, resp.Body)
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if err := resp.Header.Write(&all); err != nil {
					t.Error(err)
				}
				_ = resp.Body.Close() // it was read
			}
		}
		return all.String()
	}
	answers := map[string]string{
		"the dashboard":      ask(http.MethodGet, "/", "/runs", "/fragment"),
		"events":             ask(http.MethodGet, "/events?since=0"),
		"the API":            ask(http.MethodGet, "/api/breakers", "/api/operations", "/api/runs"),
		"refused changes":    ask(http.MethodPost, "/api/breakers/database/hold-open", "/api/breakers/nothing/release"),
		"probes and metrics": ask(http.MethodGet, "/livez", "/readyz?verbose", "/startupz?verbose", "/healthz", "/metrics"),
	}
	for _, end := range l.ends {
		end()
	}
	answers["the listener's log"] = l.log.String()
	var all []leaktest.Channel
	for name, text := range answers {
		if strings.Contains(text, "404 page not found") {
			t.Errorf("%s: a path is not there: %s", name, text)
		}
		all = append(all, leaktest.Channel{Name: name, Dump: func() string { return text }})
	}
	return all
}

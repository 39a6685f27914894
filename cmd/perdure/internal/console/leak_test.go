package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/console"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/internal/leaktest"
	"github.com/perdure/perdure/perdureaudit"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// TestNoMarkedSecretLeaks looks for users' data in all that the listener says.
func TestNoMarkedSecretLeaks(t *testing.T) { leaktest.Run(t, &server, new(listeners)) }

// listeners are consoles on real listeners, one for each Manager.
type listeners struct {
	log  leaktest.Outlet
	dir  string // of the audit trail of runs
	urls []string
	ends []func()
	runs int
	// fails runs a pipeline on the first listener, and sinks are told of it.
	console *console.Console
	sinks   []runs.Sink
	paths   []string // of runs
}

// Fails runs a pipeline whose second step fails with err, or is tried again for
// it, and whose first has its text as its output.
func (l *listeners) Fails(ctx context.Context, err error) {
	l.runs++
	d := pipeline.Definition{Name: "leaks", Steps: []pipeline.Step{
		{Name: "says", Do: func(context.Context, pipeline.Input) (any, error) { return err.Error(), nil }},
		{Name: "fails", Needs: []string{"says"}, Attempts: 2, Do: func(context.Context, pipeline.Input) (any, error) {
			return nil, pipeline.RetryAt(err, time.Now().Add(time.Millisecond))
		}},
		{
			Name: "each", Needs: []string{"says"},
			Items: func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
				return []pipeline.Item{{Name: "a", Value: json.RawMessage("1")}}, nil
			},
			Do: func(context.Context, pipeline.Input) (any, error) { panic(err.Error()) },
		},
	}}
	plan, fault := d.Freeze(fmt.Sprintf("run-%d", l.runs), map[string]string{"text": err.Error()})
	if fault != nil {
		panic(fault)
	}
	begin := runs.Begin{Plan: plan, Engine: runs.Inline}
	w := l.console.WatchRun(begin, l.sinks...)
	stored := runs.Watch(runs.Begin{Plan: pipeline.Plan{Pipeline: "leaks", Run: plan.Run + "-stored", Steps: plan.Steps}, Engine: "dbos"}, nil, l.sinks...)
	report, end := pipeline.Run(ctx, d, pipeline.Options{Run: plan.Run, Params: map[string]string{"text": err.Error()}, Observe: func(e pipeline.Event) {
		w.Observe(e)
		if e.Failure != nil { // as an engine that remembers has it
			f := *e.Failure
			f.Err, e.Failure = nil, &f
		}
		stored.Observe(e)
	}})
	w.End(report, end)
	stored.End(report, end)
	l.paths = append(l.paths, plan.Run)
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
	if l.console == nil {
		l.console = c
		l.record(t, m.Name(), log)
	}
	l.ends = append(l.ends, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// record tells a trail and the log of the runs.
func (l *listeners) record(t *testing.T, manager string, log *slog.Logger) {
	t.Helper()
	l.dir = t.TempDir()
	trail, err := audit.Open(audit.Config{Dir: l.dir, Sanitize: redact.Text})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := perdureaudit.New(trail, perdureaudit.Config{Manager: manager})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- recorder.Run(ctx) }()
	l.sinks = []runs.Sink{runs.Audit(recorder), runs.Log(log)}
	l.ends = append(l.ends, func() {
		cancel()
		if err := errors.Join(<-done, trail.Close()); err != nil {
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
	last := l.paths[max(0, len(l.paths)-50):] // those that are kept
	for i := range last {
		answers["the pages of runs"] += ask(http.MethodGet, "/runs?run="+last[i], "/fragment?page=runs&run="+last[i])
		answers["the API of runs"] += ask(http.MethodGet, "/api/runs/"+last[i])
	}
	answers["the page of all runs"] = ask(http.MethodGet, "/runs", "/fragment?page=runs")
	for _, end := range l.ends {
		end()
	}
	files, err := filepath.Glob(filepath.Join(l.dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Errorf("the trail has %d files, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		answers["the trail of runs"] += string(b)
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

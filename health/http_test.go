package health_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/health"
)

// get asks a handler.
func get(tb testing.TB, h http.Handler, method, target string) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), method, target, nil))
	header := w.Result().Header
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		tb.Errorf("%s %s: headers %v", method, target, header)
	}
	if strings.Contains(w.Body.String(), "secret") {
		tb.Errorf("%s %s tells the reason: %s", method, target, w.Body)
	}
	return w
}

func TestReady(t *testing.T) {
	fails := func(context.Context) error { return errDown }
	passes := func(context.Context) error { return nil }
	h := newHealth(t, health.Config{Checks: []health.Check{
		{Name: "good", Run: passes},
		{Name: "bad", Run: fails},
		{Name: "after", Run: passes, After: []string{"bad"}},
		{Name: "extra", Run: fails, Optional: true},
		{Name: "so-so", Run: func(context.Context) error { return health.Warn(errDown) }},
	}})
	const rest = "[!]extra failed, optional: reason withheld\n[!]so-so warns: reason withheld\n"
	for _, tt := range []struct {
		name, target string
		code         int
		body         string
	}{
		{"a failure is told", "/readyz", 503, "[+]good ok\n[-]bad failed: reason withheld\n[?]after unknown because bad is down\n" + rest + "readyz check failed\n"},
		{"without it all is well", "/readyz?exclude=bad", 200, "ok\n"},
		{"with the details", "/readyz?verbose&exclude=bad", 200, "[+]bad excluded: ok\n[+]good ok\n[+]after ok\n" + rest + "readyz check passed\n"},
		{"several, by commas or repeated", "/readyz?verbose=1&exclude=bad,after&exclude=extra&exclude=so-so", 200, "[+]bad excluded: ok\n[+]after excluded: ok\n[+]extra excluded: ok\n[+]so-so excluded: ok\n[+]good ok\nreadyz check passed\n"},
		{"an exclude that is no check is named", "/readyz?exclude=bad&exclude=no%0Asuch", 200, "[+]bad excluded: ok\n[+]good ok\n[+]after ok\n" + rest + "warn: some health checks cannot be excluded: no matches for \"no\\nsuch\"\nreadyz check passed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(t, h.Ready(), http.MethodGet, tt.target)
			if diff := cmp.Diff(tt.body, w.Body.String()); diff != "" || w.Code != tt.code {
				t.Errorf("%s = %d, want %d (-want +got):\n%s", tt.target, w.Code, tt.code, diff)
			}
			if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type = %q", got)
			}
			if head := get(t, h.Ready(), http.MethodHead, tt.target); head.Code != tt.code || head.Body.Len() != 0 {
				t.Errorf("HEAD %s = %d with %d bytes, want %d with none", tt.target, head.Code, head.Body.Len(), tt.code)
			}
		})
	}
}

func TestMethodsThatChangeAreRefused(t *testing.T) {
	h := newHealth(t, health.Config{})
	for name, handler := range map[string]http.Handler{"live": h.Live(), "ready": h.Ready(), "startup": h.Startup(), "report": h.Report()} {
		if w := get(t, handler, http.MethodPost, "/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST to %s = %d, Allow %q", name, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestLiveTouchesNoCheck(t *testing.T) {
	var s switched
	s.set(errDown)
	h := newHealth(t, health.Config{Checks: []health.Check{{Name: "a", Run: s.run}}})
	h.SetDraining(true)
	for target, want := range map[string]string{"/livez": "ok\n", "/livez?verbose": "[+]ping ok\nlivez check passed\n"} {
		if w := get(t, h.Live(), http.MethodGet, target); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s = %d %q, want 200 %q", target, w.Code, w.Body, want)
		}
	}
	if n := s.runs.Load(); n != 0 {
		t.Errorf("live ran %d checks", n)
	}
}

func TestDrainingIsNotReadyAtOnce(t *testing.T) {
	h := newHealth(t, health.Config{Checks: []health.Check{{Name: "a", Run: func(context.Context) error { return nil }}}})
	if w := get(t, h.Ready(), http.MethodGet, "/readyz"); w.Code != 200 {
		t.Errorf("before: %d", w.Code)
	}
	h.SetDraining(true)
	w := get(t, h.Ready(), http.MethodGet, "/readyz?exclude=draining")
	if want := "[-]draining failed: the program is about to end\nreadyz check failed\n"; w.Code != 503 || w.Body.String() != want {
		t.Errorf("draining: %d %q, want 503 %q", w.Code, w.Body, want)
	}
	if w := get(t, h.Report(), http.MethodGet, "/healthz"); w.Code != 503 {
		t.Errorf("report while draining: %d", w.Code)
	}
	h.SetDraining(false)
	if w := get(t, h.Ready(), http.MethodGet, "/readyz"); w.Code != 200 || h.Draining() {
		t.Errorf("after: %d", w.Code)
	}
}

func TestStartupStaysOnceItHasPassed(t *testing.T) {
	var s switched
	s.set(errDown)
	h := newHealth(t, health.Config{Checks: []health.Check{{Name: "a", Run: s.run, Interval: -1, Fall: 1}}})
	code := func(want int) {
		t.Helper()
		if w := get(t, h.Startup(), http.MethodGet, "/startupz"); w.Code != want {
			t.Errorf("startup = %d, want %d", w.Code, want)
		}
	}
	code(503)
	s.set(health.Warn(errDown))
	code(200)
	s.set(errDown)
	code(200)
}

func TestReport(t *testing.T) {
	h := newHealth(t, health.Config{Version: "1", Description: "flights", Checks: []health.Check{
		{Name: "good", Run: func(context.Context) error { return nil }},
		{Name: "bad", Run: func(context.Context) error { return errDown }},
		{Name: "after", Run: func(context.Context) error { return nil }, After: []string{"bad"}},
	}})
	for _, tt := range []struct {
		target       string
		code         int
		status, note string
		checks       map[string]string
	}{
		{"/healthz", 503, "fail", "", map[string]string{"good": "pass", "bad": "fail reason withheld", "after": "warn unknown because bad is down"}},
		{"/healthz?exclude=bad,x", 200, "pass", `no check to exclude is named "x"`, map[string]string{"good": "pass", "after": "pass"}},
	} {
		w := get(t, h.Report(), http.MethodGet, tt.target)
		var got struct {
			Status, Version, Description string
			Notes                        []string
			Checks                       map[string][]struct {
				Status, Output, Time, ObservedUnit string
				ObservedValue, AgeSeconds          *float64
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %s", tt.target, err, w.Body)
		}
		checks := map[string]string{}
		for name, list := range got.Checks {
			checks[name] = strings.TrimSpace(list[0].Status + " " + list[0].Output)
			if len(list) != 1 || list[0].ObservedValue == nil || list[0].AgeSeconds == nil || list[0].ObservedUnit != "s" {
				t.Errorf("%s: %s: %+v", tt.target, name, list)
			}
		}
		if diff := cmp.Diff(tt.checks, checks); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.target, diff)
		}
		if w.Code != tt.code || got.Status != tt.status || strings.Join(got.Notes, "") != tt.note || got.Version != "1" || got.Description != "flights" {
			t.Errorf("%s = %d %+v", tt.target, w.Code, got)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/health+json" {
			t.Errorf("Content-Type = %q", ct)
		}
	}
}

func TestReasonsAreWhatErrorTextMakesOfThem(t *testing.T) {
	for _, tt := range []struct {
		name string
		text func(error) string
		want string
	}{
		{"told", func(error) string { return "connection refused" }, "connection refused"},
		{"in one line", func(error) string { return "a\nb\x00" }, "a b "},
		{"bounded", func(error) string { return strings.Repeat("é", 400) }, strings.Repeat("é", 250) + "…"},
		{"valid", func(error) string { return "\xff" }, "?"},
		{"withheld if it panics", func(error) string { panic("secret") }, "reason withheld"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHealth(t, health.Config{ErrorText: tt.text, Checks: []health.Check{{Name: "a", Run: func(context.Context) error { return errDown }}}})
			w := get(t, h.Ready(), http.MethodGet, "/readyz")
			if want := "[-]a failed: " + tt.want + "\nreadyz check failed\n"; w.Body.String() != want {
				t.Errorf("readyz = %q, want %q", w.Body, want)
			}
		})
	}
}

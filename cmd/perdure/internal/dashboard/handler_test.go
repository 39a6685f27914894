package dashboard_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/dashboard"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

func handler(t *testing.T) (http.Handler, *perdure.Manager) {
	t.Helper()
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	o, err := observe.New(observe.Config{Sources: []observe.Source{{Manager: m}}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := dashboard.New(o, dashboard.Options{Version: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	return h, m
}

func TestPagesAndTheirHeaders(t *testing.T) {
	h, _ := handler(t)
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/runs": "text/html; charset=utf-8", "/fragment": "application/json",
		"/assets/dashboard.css": "text/css; charset=utf-8", "/assets/dashboard.js": "text/javascript; charset=utf-8", "/assets/icon-ok.svg": "image/svg+xml",
	} {
		r := get(t, h, path)
		if got := r.Header().Get("Content-Type"); r.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d, Content-Type %q, want %q", path, r.Code, got, want)
		}
		csp := r.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := r.Header().Get(header); got != want {
				t.Errorf("%s: %s = %q, want %q", path, header, got, want)
			}
		}
	}
	for _, path := range []string{"/nothing", "/assets/", "/assets/nothing", "/assets/../handler.go", "/index.html"} {
		if r := get(t, h, path); r.Code == http.StatusOK {
			t.Errorf("%s is there", path)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST / = %d, want 405: the page changes nothing", w.Code)
	}
}

func TestAssetsAreKeptByVersion(t *testing.T) {
	h, _ := handler(t)
	d := parse(t, get(t, h, "/").Body)
	d.sound()
	style := ""
	for _, n := range d.all("link", "") {
		if attr(n, "rel") == "stylesheet" {
			style = attr(n, "href")
		}
	}
	if got := get(t, h, "/"+style).Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("%s: Cache-Control %q, want immutable", style, got)
	}
	if got := get(t, h, "/assets/dashboard.css?v=old").Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("another version: Cache-Control %q, want no-cache", got)
	}
	if got := get(t, h, "/").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("the page: Cache-Control %q, want no-store", got)
	}
}

// TestAFragmentIsTheContent of the page, and new as soon as something happens.
func TestAFragmentIsTheContent(t *testing.T) {
	h, m := handler(t)
	fragment := func() (f struct{ Title, Icon, Spoken, Main string }) {
		if err := json.NewDecoder(get(t, h, "/fragment").Body).Decode(&f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := fragment()
	page := parse(t, get(t, h, "/").Body)
	part := parse(t, strings.NewReader("<main>"+f.Main+"</main>"))
	if said(part.one("main", "")) != said(page.one("main", "")) || f.Title != said(page.one("title", "")) {
		t.Errorf("the fragment says %q, the page %q", said(part.one("main", "")), said(page.one("main", "")))
	}
	m.Breaker("database").HoldOpen("drill")
	if f := fragment(); !strings.HasPrefix(f.Title, "Held · shop") || !strings.HasPrefix(f.Spoken, "shop: Held. ") || !strings.Contains(f.Icon, "icon-warn.svg") {
		t.Errorf("right after a hold the fragment is %q, %q, %s", f.Title, f.Spoken, f.Icon)
	}
}

func TestRunsHaveTheirPlace(t *testing.T) {
	h, _ := handler(t)
	d := parse(t, get(t, h, "/runs").Body)
	d.sound()
	if page := said(d.one("main", "")); !strings.Contains(page, "No pipeline has run in this process") {
		t.Errorf("the runs say %q", page)
	}
	for _, a := range under(d.one("nav", ""), "a", "") {
		if (attr(a, "aria-current") == "page") != (said(a) == "Runs") {
			t.Errorf("%q is marked as %q", said(a), attr(a, "aria-current"))
		}
	}
}

func TestItIsMountedBelowAPrefix(t *testing.T) {
	h, _ := handler(t)
	mux := http.NewServeMux()
	mux.Handle("/ui/", http.StripPrefix("/ui", h))
	body, err := io.ReadAll(get(t, mux, "/ui/").Body)
	if err != nil || !strings.Contains(string(body), "<main") {
		t.Errorf("/ui/ = %.80s, %v", body, err)
	}
}

func TestNewRefusesNothing(t *testing.T) {
	if _, err := dashboard.New(nil, dashboard.Options{}); err == nil {
		t.Error("New(nil) = nil, want an error")
	}
}

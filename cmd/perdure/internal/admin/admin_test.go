package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/perdureprom"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token     = "the-admin-token-0123456789"
	readToken = "the-read-token-0123456789"
)

// trail keeps what was audited.
type trail struct {
	mu    sync.Mutex // guards the fields below
	tries []admin.Try
	err   error
}

func (a *trail) Audit(_ context.Context, t admin.Try) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.tries = append(a.tries, t)
	return nil
}

// all returns the records as "action breaker status code".
func (a *trail) all() []admin.Try {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]admin.Try(nil), a.tries...)
}

func manager(t *testing.T, name string) *perdure.Manager {
	t.Helper()
	m, err := perdure.New(perdure.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := m.Do(t.Context(), perdure.Op{Name: "orders.claim"}, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return m
}

// fixture is a Server with one Manager, and what it writes.
type fixture struct {
	server *admin.Server
	m      *perdure.Manager
	trail  *trail
	log    *bytes.Buffer
}

func newFixture(t *testing.T, change func(*admin.Config)) *fixture {
	t.Helper()
	f := &fixture{m: manager(t, "shop"), trail: &trail{}, log: &bytes.Buffer{}}
	collector, err := perdureprom.New(f.m)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	cfg := admin.Config{
		Managers: []*perdure.Manager{f.m}, Metrics: registry, Token: token, Auditor: f.trail,
		Logger: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	if f.server, err = admin.New(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

// request asks as a program on this machine does.
func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:7070"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (f *fixture) ask(t *testing.T, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	f.server.Handler().ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.json); err != nil {
			t.Errorf("%s %s: %v in %q", r.Method, r.URL, err, a.body)
		}
	}
	return a
}

const (
	hold   = "/api/breakers/database/hold-open"
	reason = `{"reason": "maintenance"}`
	bearer = "Bearer " + token
)

func TestWhatIsRead(t *testing.T) {
	f := newFixture(t, nil)
	for path, want := range map[string]string{
		"/metrics":                     `database_circuit_breaker_state{manager="shop",operation="database"} 0`,
		"/api/breakers":                `"name": "orders.claim"`,
		"/api/breakers?manager=shop":   `"state": "closed"`,
		"/api/operations":              `"succeeded": 1`,
		"/api/managers":                `"budget_ratio": 1`,
		"/api/runs":                    `"runs": []`,
		"/api/operations?manager=shop": `"retry_success_rate": 1`,
	} {
		a := f.ask(t, request(http.MethodGet, path, ""))
		if a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("GET %s = %d, want 200 with %s:\n%s", path, a.status, want, a.body)
		}
		head := f.ask(t, request(http.MethodHead, path, ""))
		if head.status != http.StatusOK {
			t.Errorf("HEAD %s = %d", path, head.status)
		}
	}
}

func TestEveryAnswerHasTheHeadersThatKeepBrowsersSafe(t *testing.T) {
	f := newFixture(t, nil)
	for _, r := range []*http.Request{
		request(http.MethodGet, "/api/breakers", ""), request(http.MethodGet, "/nothing", ""),
		request(http.MethodPost, hold, reason), request(http.MethodGet, "/metrics", "", "Host", "evil.example"),
	} {
		h := f.ask(t, r).header
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
			"Access-Control-Allow-Origin":  "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s %s: %s = %q, want %q", r.Method, r.URL, name, got, want)
			}
		}
	}
}

func TestHostsThatAreNotOursAreRefused(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Hosts = []string{"db7.Example.com"} })
	for host, want := range map[string]int{
		"127.0.0.1:7070": 200, "[::1]:7070": 200, "localhost": 200, "LOCALHOST:7070": 200, "10.0.0.7": 200, "db7.example.com:7070": 200,
		"evil.example": 421, "localhost.evil.example:7070": 421, "db7.example.com.evil.example": 421, "": 421, "127.0.0.1.nip.example": 421,
	} {
		if a := f.ask(t, request(http.MethodGet, "/api/breakers", "", "Host", host)); a.status != want {
			t.Errorf("Host %q = %d, want %d", host, a.status, want)
		}
	}
}

func TestWrongMethodsAndPathsAreToldInJSON(t *testing.T) {
	f := newFixture(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{http.MethodPost, "/api/breakers", 405, "method_not_allowed", "GET, HEAD"},
		{http.MethodDelete, "/metrics", 405, "method_not_allowed", "GET, HEAD"},
		{http.MethodGet, hold, 405, "method_not_allowed", "POST"},
		{http.MethodOptions, hold, 405, "method_not_allowed", "POST"},
		{http.MethodGet, "/nothing", 404, "not_found", ""},
		{http.MethodPost, "/api/breakers/database/explode", 404, "not_found", ""},
		{http.MethodGet, "/api/breakers?manager=other", 404, "unknown_manager", ""},
	} {
		a := f.ask(t, request(c.method, c.path, ""))
		if a.status != c.status || a.json["code"] != c.code || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s = %d %v, Allow %q, want %d %s, %q", c.method, c.path, a.status, a.json["code"], a.header.Get("Allow"), c.status, c.code, c.allow)
		}
	}
}

func TestAPanicIsContained(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) {
		c.Routes = []admin.Route{{Pattern: "GET /boom", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(errors.New("secret=hunter2"))
		})}}
	})
	a := f.ask(t, request(http.MethodGet, "/boom", ""))
	if a.status != http.StatusInternalServerError || a.json["code"] != "internal" || strings.Contains(a.body, "hunter2") {
		t.Errorf("answer = %d %s", a.status, a.body)
	}
	if log := f.log.String(); !strings.Contains(log, "panicked") || strings.Contains(log, "hunter2") {
		t.Errorf("log = %s", log)
	}
}

func TestTheLogHoldsNoSecrets(t *testing.T) {
	f := newFixture(t, nil)
	f.ask(t, request(http.MethodGet, "/api/breakers?token=hunter2", "", "Cookie", "hunter2", "User-Agent", "hunter2"))
	f.ask(t, request(http.MethodPost, "/api/breakers/hunter2%0Ax/hold-open", reason, "Authorization", "Bearer hunter2hunter2hunter2"))
	f.ask(t, request(http.MethodGet, "/hunter2", ""))
	f.ask(t, request("HUNTER2", "/api/breakers", ""))
	f.ask(t, request(http.MethodPost, hold, reason, "Authorization", bearer))
	log := f.log.String()
	if strings.Count(log, "admin request") != 5 || strings.Contains(strings.ToLower(log), "hunter2") || strings.Contains(log, token) {
		t.Errorf("log:\n%s", log)
	}
	for _, try := range f.trail.all() {
		if strings.Contains(try.Breaker, "hunter2") {
			t.Errorf("audited: %+v", try)
		}
	}
}

func TestProfilesNeedTheToken(t *testing.T) {
	f := newFixture(t, nil)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"} {
		if a := f.ask(t, request(http.MethodGet, path, "")); a.status != http.StatusUnauthorized {
			t.Errorf("GET %s = %d, want 401", path, a.status)
		}
	}
	a := f.ask(t, request(http.MethodGet, "/debug/pprof/goroutine?debug=1", "", "Authorization", bearer))
	if a.status != http.StatusOK || !strings.Contains(a.body, "goroutine profile") {
		t.Errorf("with the token = %d %.80s", a.status, a.body)
	}
	if a := f.ask(t, request(http.MethodGet, "/debug/pprof/cmdline", "", "Authorization", bearer)); a.status != http.StatusForbidden {
		t.Errorf("the command line = %d, want 403", a.status)
	}
	off := newFixture(t, func(c *admin.Config) { c.Token = "" })
	if a := off.ask(t, request(http.MethodGet, "/debug/pprof/heap", "")); a.status != http.StatusForbidden || a.json["code"] != "admin_off" {
		t.Errorf("without --admin = %d %v", a.status, a.json)
	}
}

func TestReadingFromAfarNeedsAToken(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) {
		c.Remote, c.ReadToken = true, readToken
		c.Routes = []admin.Route{{Pattern: "GET /livez", Open: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok")
		})}}
	})
	basic := request(http.MethodGet, "/metrics", "")
	basic.SetBasicAuth("", readToken)
	for name, c := range map[string]struct {
		r    *http.Request
		want int
	}{
		"a probe needs none":                   {request(http.MethodGet, "/livez", ""), 200},
		"without":                              {request(http.MethodGet, "/metrics", ""), 401},
		"wrong":                                {request(http.MethodGet, "/api/breakers", "", "Authorization", "Bearer wrong"), 401},
		"the token for reading":                {request(http.MethodGet, "/metrics", "", "Authorization", "Bearer "+readToken), 200},
		"as a browser gives it":                {basic, 200},
		"the admin token reads too":            {request(http.MethodGet, "/api/operations", "", "Authorization", bearer), 200},
		"the token for reading changes naught": {request(http.MethodPost, hold, reason, "Authorization", "Bearer "+readToken), 401},
		"nor shows it profiles":                {request(http.MethodGet, "/debug/pprof/heap", "", "Authorization", "Bearer "+readToken), 401},
	} {
		if a := f.ask(t, c.r); a.status != c.want {
			t.Errorf("%s: %d, want %d", name, a.status, c.want)
		}
	}
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	_, err := admin.New(admin.Config{Remote: true, Token: "short", Hosts: []string{"x:1"}})
	if err == nil {
		t.Fatal("New = nil")
	}
	for _, want := range []string{"managers: there are none", "token: a token has", `hosts[0]: "x:1" is not a host name`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %q", err, want)
		}
	}
	m := manager(t, "shop")
	for _, r := range []admin.Route{
		{Pattern: "/x", Handler: http.NotFoundHandler()},
		{Pattern: "GET /x"},
		{Pattern: "GET /metrics/{", Handler: http.NotFoundHandler()},
		{Pattern: "GET /api/runs", Handler: http.NotFoundHandler()},
	} {
		if _, err := admin.New(admin.Config{Managers: []*perdure.Manager{m}, Routes: []admin.Route{r}}); err == nil {
			t.Errorf("route %q is taken", r.Pattern)
		}
	}
}

// TestRefusalsDoNotFillTheDisk: whoever reaches the port can be refused as often
// as it likes, by name, by token and by method.
func TestRefusalsDoNotFillTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		for range 1000 {
			f.ask(t, request(http.MethodGet, "/", "", "Host", "evil.example"))
			f.ask(t, request(http.MethodGet, "/debug/pprof/", ""))
			f.ask(t, request(http.MethodPost, "/metrics", ""))
		}
		if n := strings.Count(f.log.String(), "admin request"); n != 50 {
			t.Errorf("%d lines of 3,000 refusals, want 50", n)
		}
		f.log.Reset()
		f.ask(t, request(http.MethodPost, hold, reason, "Authorization", bearer))
		if log := f.log.String(); !strings.Contains(log, `"status":200`) {
			t.Errorf("a change has no line: %s", log)
		}
		f.log.Reset()
		<-time.After(time.Second)
		f.ask(t, request(http.MethodGet, "/debug/pprof/", ""))
		if log := f.log.String(); !strings.Contains(log, `"suppressed":2950`) {
			t.Errorf("the next line = %s, want it to say how many are missing", log)
		}
	})
}

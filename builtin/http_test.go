package builtin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pipeline"
)

func TestCallsRepeatByStatus(t *testing.T) {
	h := open(t, server.Database(t))
	var calls atomic.Int64
	type answer func(n int64, w http.ResponseWriter, r *http.Request)
	var current atomic.Pointer[answer] // the server's end of a refused call may come late
	answers := func(f answer) { current.Store(&f) }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*current.Load())(calls.Add(1), w, r) }))
	defer srv.Close()
	srv.Config.SetKeepAlivesEnabled(false) // Go's client sends a GET again on its own, on a connection that it had before
	steps := 0
	call := func(in string) (pipeline.Report, error) {
		calls.Store(0)
		steps++ // each has a breaker of its own
		d := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{
			Name: fmt.Sprintf("s%d", steps), Uses: "http.call", With: []byte(strings.ReplaceAll(in, "URL", srv.URL)),
			Policy: &perdure.Policy{MaxAttempts: 3},
		}}}
		return h.run(t, d, "r", nil)
	}
	status := func(code int, header ...string) func(int64, http.ResponseWriter, *http.Request) {
		return func(_ int64, w http.ResponseWriter, _ *http.Request) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
	for _, c := range []struct {
		name, in string
		answer   func(int64, http.ResponseWriter, *http.Request)
		calls    int64
		err      string
	}{
		{"503 is repeated", `{"url":"URL"}`, status(503), 3, "status 503"},
		{"404 is not", `{"url":"URL"}`, status(404), 1, "status 404"},
		{"a POST is not", `{"url":"URL","method":"post"}`, status(503), 1, "status 503"},
		{"unless it is idempotent", `{"url":"URL","method":"post","idempotent":true}`, status(429, "Retry-After", "0"), 3, "status 429"},
		{"a lost connection is", `{"url":"URL"}`, func(_ int64, w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
		}, 3, "EOF"},
		{"too much is refused", `{"url":"URL"}`, func(_ int64, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 70_000))
		}, 1, "more than 65536 bytes"},
		{"another host is not followed", `{"url":"URL"}`, status(302, "Location", "http://other.invalid/"), 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers(c.answer)
			_, err := call(c.in)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("Run = %v, want %q", err, c.err)
			}
			if got := calls.Load(); got != c.calls {
				t.Errorf("%d calls, want %d", got, c.calls)
			}
		})
	}
	answers(func(_ int64, w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"method":%q,"key":%q,"kind":%q,"auth":%q,"body":%s}`, r.Method, r.Header.Get("Idempotency-Key"),
			r.Header.Get("Content-Type"), r.Header.Get("Authorization"), b)
	})
	r, err := call(`{"url":"URL/x","method":"PUT","headers":{"Authorization":"Bearer x"},"body":{"a":[1]}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"body":{"auth":"Bearer x","body":{"a":[1]},"key":"r/s8/http","kind":"application/json","method":"PUT"},"header":{"content-type":"application/json"},"status":200}`
	if diff := cmp.Diff(want, output(t, r, "s8")); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	answers(status(503, "Retry-After", "3600"))
	r, err = call(`{"url":"URL"}`)
	if s, _ := r.Step("s9"); err == nil || s.Failure.RetryAt.Before(time.Now().Add(50*time.Minute)) || !s.Failure.Again || calls.Load() != 1 {
		t.Errorf("Run = %v, failure %+v, want another try in an hour", err, s.Failure)
	}
}

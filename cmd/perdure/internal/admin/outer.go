package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"
)

// policy is the Content-Security-Policy of every answer: nothing from anywhere
// but this listener, nothing inline, in no frame.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// outer is what every request goes through, whatever it asks for.
func (s *Server) outer(next http.Handler) http.Handler {
	hosts := lowerAll(s.cfg.Hosts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		defer func() {
			if v := recover(); v != nil {
				s.panicked(rec, r, v)
			}
			s.tell(rec, r, time.Since(start))
		}()
		h := rec.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		h.Set("Cache-Control", "no-store")
		if !knownHost(r.Host, hosts) {
			refuse(rec, problem{
				Status: http.StatusMisdirectedRequest, Code: "unknown_host",
				Text: "this listener is not called by that name", Try: "its address, localhost, or --allow-host NAME",
			})
			return
		}
		r.Body = http.MaxBytesReader(rec, r.Body, maxBodyBytes)
		next.ServeHTTP(rec, r)
	})
}

// knownHost keeps out names that somebody else has bound to our address: their
// pages would be of the same origin as ours. An address cannot be bound.
func knownHost(hostPort string, names map[string]bool) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || names[host]
}

// panicked ends a request whose handler panicked: the process goes on.
func (s *Server) panicked(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint,err113 // a sentinel that is thrown, not returned
		w.aborted = true
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "a handler of the admin listener panicked",
		slog.String("path", pathOf(r)), slog.String("panic", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
	if w.status == 0 {
		refuse(w, problem{Status: http.StatusInternalServerError, Code: "internal", Text: "this is a fault of perdure: its log has more"})
		return
	}
	w.aborted = true
}

// The lines of requests that were not served as they asked: whoever reaches the
// port can cause as many as it likes.
const refusedLineBurst, refusedLineEvery = 50, time.Second

// tell writes the line of a request: no query, no headers, and of a path that
// nobody serves only that. Lines that tell of nothing done are limited, and the
// next one says how many are missing.
func (s *Server) tell(w *recorder, r *http.Request, took time.Duration) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	level := slog.LevelDebug
	switch {
	case status >= http.StatusInternalServerError && (status != http.StatusServiceUnavailable || !isProbe(r)),
		status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests, status == http.StatusMisdirectedRequest:
		level = slog.LevelWarn
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		level = slog.LevelInfo
	}
	if w.aborted {
		defer w.drop()
	}
	var missing uint64
	if status >= http.StatusBadRequest && level > slog.LevelDebug {
		var pass bool
		if pass, missing = s.gate.limits.line(time.Now()); !pass {
			return
		}
	}
	attrs := []slog.Attr{
		slog.String("method", methodOf(r)), slog.String("path", pathOf(r)), slog.Int("status", status),
		slog.Int64("bytes", w.bytes), slog.Duration("took", took), slog.String("client", clientOf(r).String()),
		slog.Bool("aborted", w.aborted),
	}
	if missing > 0 {
		attrs = append(attrs, slog.Uint64("suppressed", missing))
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), level, "admin request", attrs...)
}

// isProbe: a probe that says no is no fault of the listener.
func isProbe(r *http.Request) bool {
	return r.Pattern == "/readyz" || r.Pattern == "/startupz" || r.Pattern == "/healthz"
}

// pathOf returns the pattern that matched, so that no client can fill the log
// with texts of its own, and for the names of breakers the path, if they are
// names.
func pathOf(r *http.Request) string {
	if name := r.PathValue("name"); name != "" && isName(name) {
		return strings.Replace(r.Pattern, "{name}", name, 1)
	}
	if r.Pattern == "" || r.Pattern == "/" {
		return "unknown"
	}
	return r.Pattern
}

func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter

	status  int
	bytes   int64
	aborted bool
}

// WriteHeader remembers the status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts what was written.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// drop ends the connection, so that half an answer is not taken for a whole one.
func (w *recorder) drop() {
	conn, _, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil { // there is none: nobody waits for the rest
		return
	}
	_ = conn.Close() // its end is what is wanted, however it comes
}

// Flush sends what was written so far.
func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package health

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Live returns the handler of /livez: the program answers. It runs no check and
// touches nothing but the connection.
func (h *Health) Live() http.Handler {
	return guard(func(w http.ResponseWriter, r *http.Request) {
		text := "ok\n"
		if verbose(r) {
			text = "[+]ping ok\nlivez check passed\n"
		}
		write(w, r, http.StatusOK, textType, text)
	})
}

// Ready returns the handler of /readyz: 200 if the program can take work, which
// it can with warnings, else 503. ?verbose lists the checks, as a failure does;
// ?exclude=NAME, which may be repeated, leaves a check out. Draining cannot be
// left out.
func (h *Health) Ready() http.Handler {
	return guard(func(w http.ResponseWriter, r *http.Request) {
		exclude := excluded(r)
		if h.Draining() {
			write(w, r, http.StatusServiceUnavailable, textType, "[-]"+drainingName+" failed: the program is about to end\nreadyz check failed\n")
			return
		}
		status, results := h.Check(r.Context(), exclude...)
		h.answer(w, r, "readyz", status, results, exclude)
	})
}

// Startup returns the handler of /startupz: 200 once all checks together have
// passed, warnings allowed, from then on for good; 503 until then.
func (h *Health) Startup() http.Handler {
	return guard(func(w http.ResponseWriter, r *http.Request) {
		if h.started.Load() {
			write(w, r, http.StatusOK, textType, "ok\n")
			return
		}
		status, results := h.Check(r.Context())
		if status != Fail {
			h.started.Store(true)
		}
		h.answer(w, r, "startupz", status, results, nil)
	})
}

// answer writes the results in the manner of Kubernetes' own probes.
func (h *Health) answer(w http.ResponseWriter, r *http.Request, name string, status Status, results []Result, exclude []string) {
	code := http.StatusOK
	if status == Fail {
		code = http.StatusServiceUnavailable
	}
	none := h.unknownNames(exclude)
	if code == http.StatusOK && !verbose(r) && len(none) == 0 {
		write(w, r, code, textType, "ok\n")
		return
	}
	var b strings.Builder
	for _, p := range h.probes {
		if slices.Contains(exclude, p.check.Name) {
			fmt.Fprintf(&b, "[+]%s excluded: ok\n", p.check.Name)
		}
	}
	for _, res := range results {
		b.WriteString(h.line(res))
	}
	if len(none) > 0 {
		fmt.Fprintf(&b, "warn: some health checks cannot be excluded: no matches for %s\n", quoted(none))
	}
	verdict := "passed"
	if status == Fail {
		verdict = "failed"
	}
	fmt.Fprintf(&b, "%s check %s\n", name, verdict)
	write(w, r, code, textType, b.String())
}

// line says of a result what may be said.
func (h *Health) line(r Result) string {
	switch {
	case r.Status == Pass:
		return fmt.Sprintf("[+]%s ok\n", r.Name)
	case r.Status == Unknown:
		return fmt.Sprintf("[?]%s unknown because %s is down\n", r.Name, r.Because)
	case r.Status == Fail && !r.Optional:
		return fmt.Sprintf("[-]%s failed: %s\n", r.Name, h.reason(r))
	case r.Status == Fail:
		return fmt.Sprintf("[!]%s failed, optional: %s\n", r.Name, h.reason(r))
	default:
		return fmt.Sprintf("[!]%s warns: %s\n", r.Name, h.reason(r))
	}
}

// reason is what ErrorText makes of the newest error, in one line.
func (h *Health) reason(r Result) (s string) {
	const withheld, most = "reason withheld", 500
	if h.cfg.ErrorText == nil || r.Err == nil {
		return withheld
	}
	defer func() {
		if recover() != nil { // a method of the error
			s = withheld
		}
	}()
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(h.cfg.ErrorText(r.Err), "?"))
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "") // it may have been cut in a letter
}

const (
	textType   = "text/plain; charset=utf-8"
	healthType = "application/health+json"
)

// guard lets GET and HEAD pass.
func guard(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			write(w, r, http.StatusMethodNotAllowed, textType, "method not allowed: use GET or HEAD\n")
			return
		}
		next(w, r)
	})
}

// write writes an answer that nobody may keep, without its body for HEAD.
func write(w http.ResponseWriter, r *http.Request, code int, contentType, body string) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body) // nobody is left to tell
	}
}

func verbose(r *http.Request) bool {
	v, ok := r.URL.Query()["verbose"]
	return ok && !slices.Contains(v, "0") && !slices.Contains(v, "false")
}

// excluded returns the names of ?exclude=, repeated or with commas.
func excluded(r *http.Request) []string {
	const most = 64
	var names []string
	for _, v := range r.URL.Query()["exclude"] {
		for n := range strings.SplitSeq(v, ",") {
			if n != "" && len(names) < most && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// quoted returns names as they may be said back to whoever sent them.
func quoted(names []string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%.63q", n)
	}
	return strings.Join(parts, ", ")
}

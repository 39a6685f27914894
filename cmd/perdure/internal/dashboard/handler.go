package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// shareFor is how long an answer is given to all who ask: many open pages cost
// as much as a few.
const shareFor = 200 * time.Millisecond

// Options configure the handler. The zero Options are complete.
type Options struct {
	// Version is shown at the foot of the page. Empty means none.
	Version string
}

// policy allows what the page itself brings, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// handler serves the dashboard of one Observer.
type handler struct {
	observer *observe.Observer
	opts     Options
	renderer *renderer

	mu   sync.Mutex // guards the fields below
	view View
	made time.Time
	json []byte // the fragment of view; nil until asked for
}

// New returns the dashboard's handler. It answers GET and HEAD of
//
//	/               the page
//	/runs           the page of pipeline runs
//	/fragment       what the page fetches each second: JSON with the HTML of its content
//	/assets/{name}  style, script, icons
//	/events         observe.Observer.ServeEvents
//
// and nothing else; mount it at the root, or below a prefix that ends in a slash
// with http.StripPrefix: all addresses in the page are relative.
//
// It sets Content-Security-Policy (only the page's own files; no inline style or
// script), Content-Type, Cache-Control (no-store; assets are kept for ever, by
// version), X-Content-Type-Options, X-Frame-Options, Referrer-Policy,
// Cross-Origin-Opener-Policy and Cross-Origin-Resource-Policy itself. It asks for no token: whoever
// mounts it decides who may read. It changes nothing.
func New(o *observe.Observer, opts Options) (http.Handler, error) {
	if o == nil {
		return nil, errors.New("dashboard: the Observer is nil: make it with observe.New")
	}
	a, err := newAssets()
	if err != nil {
		return nil, err
	}
	r, err := newRenderer(a.version)
	if err != nil {
		return nil, err
	}
	h := &handler{observer: o, opts: opts, renderer: r}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page("overview"))
	mux.HandleFunc("GET /runs", h.page("runs"))
	mux.HandleFunc("GET /fragment", h.fragment)
	mux.HandleFunc("GET /assets/{name}", a.serve)
	mux.HandleFunc("GET /events", o.ServeEvents)
	return secured(mux), nil
}

// secured sets the headers that keep a page to itself.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// current returns the view, made anew if it is older than shareFor or something
// has happened since. It is called under mu.
func (h *handler) current() View {
	last := h.observer.LastEvent()
	if now := time.Now(); now.Sub(h.made) >= shareFor || last != h.view.LastEvent {
		h.view = Build(h.observer.Managers(), h.observer.Stories(), last, now, h.opts.Version)
		h.made, h.json = now, nil
	}
	return h.view
}

func (h *handler) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		v := h.current()
		h.mu.Unlock()
		var b bytes.Buffer
		if err := h.renderer.page(&b, v, name); err != nil {
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(b.Bytes()) // the reader is gone
	}
}

func (h *handler) fragment(w http.ResponseWriter, _ *http.Request) {
	data, err := h.fragmentJSON()
	if err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // the reader is gone
}

func (h *handler) fragmentJSON() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.current()
	if h.json != nil {
		return h.json, nil
	}
	f, err := h.renderer.fragment(v)
	if err != nil {
		return nil, err
	}
	h.json, err = json.Marshal(f)
	return h.json, err
}

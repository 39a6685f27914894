package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/observe"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

// shareFor is how long an answer is given to all who ask: many open pages cost
// as much as a few.
const shareFor = 200 * time.Millisecond

// maxShared bounds the fragments that are shared: of that many runs.
const maxShared = 32

// Options configure the handler. The zero Options are complete.
type Options struct {
	// Version is shown at the foot of the page. Empty means none.
	Version string
	// Runs are the runs of pipelines. Nil means that there are none.
	Runs *runs.Registry
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
	json map[asked][]byte // fragments of view that were asked for
}

// New returns the dashboard's handler. It answers GET and HEAD of
//
//	/               the page
//	/runs           the page of pipeline runs, with ?run=NAME that of one
//	/fragment       what the page fetches each second: JSON with the HTML of its content;
//	                with ?page=runs, and &run=NAME, that of the runs
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
	h := &handler{observer: o, opts: opts, renderer: r, json: map[asked][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page(pageOverview))
	mux.HandleFunc("GET /runs", h.page(pageRuns))
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
		h.made = now
		clear(h.json)
	}
	return h.view
}

// asked is what a request wants: the overview, the runs, or one run.
type asked struct{ page, run string }

// filled is the page that is asked for. What an engine remembers is asked for
// outside of mu: it may take a while to answer.
func (h *handler) filled(r *http.Request, a asked) page {
	h.mu.Lock()
	p := page{View: h.current(), Page: a.page, Fragment: "fragment"}
	h.mu.Unlock()
	if a.page == pageRuns {
		p.Fragment = "fragment?page=runs"
		if a.run != "" {
			p.Fragment += "&run=" + url.QueryEscape(a.run)
		}
		p.Runs = h.runs(r.Context(), a.run, p.At)
	} else if h.opts.Runs != nil {
		list, _ := h.opts.Runs.List(r.Context()) // the page of runs says that the engine does not answer
		p.Side = side(list, p.At)
	}
	return p
}

// runs is the view of all runs, or of one.
func (h *handler) runs(ctx context.Context, run string, at time.Time) Runs {
	if run != "" {
		one, steps, err := h.show(ctx, run)
		if err != nil {
			return Runs{Unknown: run, Incomplete: !errors.Is(err, pipeline.ErrNoRun)}
		}
		return BuildRun(&one, steps, at)
	}
	if h.opts.Runs == nil {
		return Runs{}
	}
	list, err := h.opts.Runs.List(ctx)
	v := BuildRuns(list, func(name string) (runs.Run, []runs.Step, error) { return h.show(ctx, name) }, at)
	v.Incomplete = err != nil
	return v
}

func (h *handler) show(ctx context.Context, run string) (runs.Run, []runs.Step, error) {
	if h.opts.Runs == nil {
		return runs.Run{}, nil, pipeline.ErrNoRun
	}
	return h.opts.Runs.Show(ctx, run)
}

func (h *handler) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := asked{page: name}
		if name == pageRuns {
			a.run = r.URL.Query().Get("run")
		}
		p := h.filled(r, a)
		var b bytes.Buffer
		if err := h.renderer.page(&b, p); err != nil {
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if p.Runs.Unknown != "" && !p.Runs.Incomplete {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(b.Bytes()) // the reader is gone
	}
}

func (h *handler) fragment(w http.ResponseWriter, r *http.Request) {
	a := asked{page: pageOverview}
	if q := r.URL.Query(); q.Get("page") == pageRuns {
		a = asked{page: pageRuns, run: q.Get("run")}
	}
	data, err := h.fragmentJSON(r, a)
	if err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) //nolint:gosec // JSON, whose HTML html/template made; if it fails, the reader is gone
}

// fragmentJSON is what was made for another reader a moment ago, or made anew.
func (h *handler) fragmentJSON(r *http.Request, a asked) ([]byte, error) {
	h.mu.Lock()
	h.current()
	data := h.json[a]
	h.mu.Unlock()
	if data != nil {
		return data, nil
	}
	p := h.filled(r, a)
	f, err := h.renderer.fragment(p)
	if err != nil {
		return nil, err
	}
	if data, err = json.Marshal(f); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.At.Equal(h.view.At) && len(h.json) < maxShared {
		h.json[a] = data
	}
	return data, nil
}

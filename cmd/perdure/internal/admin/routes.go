package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many may read /metrics at a time.
const maxScrapes = 4

// routes returns everything that is served, by path; the methods of a path are
// looked at here, so that a wrong one is told in JSON as everything else.
func (s *Server) routes() (http.Handler, error) {
	paths := map[string]map[string]http.Handler{}
	add := func(r Route) error {
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok || r.Handler == nil || !strings.HasPrefix(path, "/") {
			return fmt.Errorf("admin: route %q: want METHOD /path and a handler", r.Pattern)
		}
		if paths[path] == nil {
			paths[path] = map[string]http.Handler{}
		}
		if paths[path][method] != nil {
			return fmt.Errorf("admin: route %q is there twice", r.Pattern)
		}
		h := r.Handler
		if r.Stream {
			h = s.stream(h)
		}
		if s.cfg.Remote && !r.Open && method == http.MethodGet {
			h = s.gate.reading(h)
		}
		paths[path][method] = h
		return nil
	}
	for _, r := range append(s.own(), s.cfg.Routes...) {
		if err := add(r); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	for path, methods := range paths {
		if err := register(mux, path, byMethod(methods)); err != nil {
			return nil, err
		}
	}
	if paths["/"] == nil {
		mux.Handle("/", http.HandlerFunc(notFound))
	}
	return mux, nil
}

// register makes a panic of the ServeMux an error.
func register(mux *http.ServeMux, path string, h http.Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("admin: route %s: %v", path, v)
		}
	}()
	mux.Handle(path, h)
	return nil
}

func (s *Server) own() []Route {
	get := func(path string, h http.HandlerFunc) Route { return Route{Pattern: "GET " + path, Handler: h} }
	routes := []Route{
		get("/api/managers", s.managers),
		get("/api/breakers", s.breakers),
		get("/api/operations", s.operations),
		get("/api/runs", s.runs),
		get("/api/runs/{run}", s.run),
	}
	if s.cfg.Metrics != nil {
		routes = append(routes, Route{Pattern: "GET /metrics", Open: s.cfg.OpenMetrics, Handler: promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{
			MaxRequestsInFlight: maxScrapes,
			Timeout:             readTimeout,
			EnableOpenMetrics:   true,
			// A metric that fails must not hide the others: whoever reads sees what there is.
			ErrorHandling: promhttp.ContinueOnError,
		})})
	}
	for _, action := range []string{holdOpen, holdClosed, release} {
		routes = append(routes, Route{Pattern: "POST /api/breakers/{name}/" + action, Handler: s.change(action)})
	}
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/trace": pprof.Trace,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/cmdline": hidden,
	} {
		// Open: it has a lock of its own, for which the token for reading is no key.
		routes = append(routes, Route{Pattern: "GET " + path, Handler: s.gate.profile(h), Open: true})
	}
	return routes
}

// hidden is in the place of the command line, which may hold a password.
func hidden(w http.ResponseWriter, _ *http.Request) {
	refuse(w, problem{Status: http.StatusForbidden, Code: "hidden", Text: "a command line may hold secrets"})
}

func byMethod(methods map[string]http.Handler) http.Handler {
	allow := slices.Collect(maps.Keys(methods))
	if methods[http.MethodGet] != nil && methods[http.MethodHead] == nil {
		allow = append(allow, http.MethodHead)
	}
	slices.Sort(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := methods[r.Method]
		if h == nil && r.Method == http.MethodHead {
			h = methods[http.MethodGet]
		}
		if h == nil {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			refuse(w, problem{
				Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
				Text: "this path takes " + strings.Join(allow, ", "),
			})
			return
		}
		h.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	refuse(w, problem{
		Status: http.StatusNotFound, Code: "not_found", Text: "there is nothing under this path",
		Try: "/api/breakers, /api/operations, /metrics, /healthz",
	})
}

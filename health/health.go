package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a [Health]. The zero Config has no checks: such a program
// is ready unless it drains.
type Config struct {
	// Checks are asked in this order, as far as their dependencies allow.
	Checks []Check
	// ErrorText returns what the handlers may say of an error, redact.Error for
	// example. Nil means that they say nothing but the check's name and status.
	ErrorText func(error) string
	// Wait is how long a request waits for checks that run; a result that is
	// not there by then is the one before it. Zero means 5s.
	Wait time.Duration
	// Description and Version go into the report of /healthz. Empty means none.
	Description, Version string
}

const defaultWait = 5 * time.Second

// Health runs checks and keeps their results. It is safe for concurrent use.
type Health struct {
	cfg      Config
	probes   []*probe // dependencies first
	draining atomic.Bool
	started  atomic.Bool
	running  sync.WaitGroup

	life context.Context //nolint:containedctx // of the checks that run; Close ends it
	end  context.CancelCauseFunc

	mu     sync.Mutex // guards closed
	closed bool
}

// errClosed is the cause of the context of checks when the Health is closed.
var errClosed = errors.New("health: closed")

// New returns a Health, or every fault of cfg, joined, each with its path. It
// runs nothing and starts no goroutine. Values of ctx reach the checks; its end
// does not, Close ends them.
func New(ctx context.Context, cfg Config) (*Health, error) {
	if cfg.Wait == 0 {
		cfg.Wait = defaultWait
	}
	h := &Health{cfg: cfg}
	ordered, err := order(cfg.Checks)
	if cfg.Wait < 0 {
		err = errors.Join(fmt.Errorf("wait: %v is negative", cfg.Wait), err)
	}
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	for _, c := range ordered {
		h.probes = append(h.probes, &probe{check: c.withDefaults()})
	}
	h.life, h.end = context.WithCancelCause(context.WithoutCancel(ctx))
	return h, nil
}

// order validates checks and sorts them so that dependencies come first.
func order(checks []Check) ([]Check, error) {
	var faults []error
	index := map[string]int{}
	for i, c := range checks {
		for _, err := range c.validate() {
			faults = append(faults, fmt.Errorf("checks[%d].%w", i, err))
		}
		for _, name := range c.After {
			if !slices.ContainsFunc(checks, func(other Check) bool { return other.Name == name }) {
				faults = append(faults, fmt.Errorf("checks[%d].after: there is no check %q", i, name))
			}
		}
		if _, twice := index[c.Name]; twice {
			faults = append(faults, fmt.Errorf("checks[%d].name: %q is there twice", i, c.Name))
		}
		index[c.Name] = i
	}
	var out []Check
	done := map[string]bool{}
	var visit func(i int, path []string)
	visit = func(i int, path []string) {
		c := checks[i]
		if at := slices.Index(path, c.Name); at >= 0 {
			faults = append(faults, fmt.Errorf("checks: %s depend on each other", strings.Join(append(path[at:], c.Name), " → ")))
			return
		}
		if done[c.Name] {
			return
		}
		for _, name := range c.After {
			if j, ok := index[name]; ok {
				visit(j, append(slices.Clone(path), c.Name))
			}
		}
		if !done[c.Name] {
			done[c.Name] = true
			out = append(out, c)
		}
	}
	for i := range checks {
		visit(i, nil)
	}
	return out, errors.Join(faults...)
}

// SetDraining says that the program is about to end, or, with false, that it is
// not: while it drains it is not ready. Call it first on SIGTERM, so that no new
// work is sent, and wait as long as those who send take to notice.
func (h *Health) SetDraining(draining bool) { h.draining.Store(draining) }

// Draining reports whether the program drains.
func (h *Health) Draining() bool { return h.draining.Load() }

// Close ends the checks that run and waits for them, or until ctx ends; it then
// returns the cause of ctx. No check is run after it.
func (h *Health) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.end(errClosed)
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		h.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Check returns the results of all checks but those excluded, dependencies
// first, and what they add up to. A check whose result is older than its
// interval is run, those that do not depend on each other at the same time; the
// others wait. It returns when all have answered, or after Config.Wait, or when
// ctx ends, with what is known by then.
func (h *Health) Check(ctx context.Context, exclude ...string) (Status, []Result) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Wait)
	defer cancel()
	results, kept := make([]Result, len(h.probes)), make([]bool, len(h.probes))
	ready := make(map[string]chan struct{}, len(h.probes)) // closed when the result is there
	at := make(map[string]int, len(h.probes))
	for i, p := range h.probes {
		ready[p.check.Name], at[p.check.Name] = make(chan struct{}), i
	}
	var all sync.WaitGroup
	for i, p := range h.probes {
		all.Go(func() {
			defer close(ready[p.check.Name])
			for _, name := range p.check.After {
				<-ready[name] // bounded: each ends with ctx
				if slices.Contains(exclude, name) {
					continue
				}
				switch before := results[at[name]]; {
				case before.Status == Fail, before.Status == Unknown, before.Status == Warned && before.away():
					results[i] = p.suppressed(root(before))
					return
				case kept[at[name]], before.Last == Fail, before.away():
					// The dependency may be going: what this one says now is no news.
					kept[i], results[i] = true, p.kept(name)
					return
				}
			}
			if slices.Contains(exclude, p.check.Name) {
				return
			}
			results[i] = p.ask(ctx, h)
		})
	}
	all.Wait()
	results = slices.DeleteFunc(results, func(r Result) bool { return slices.Contains(exclude, r.Name) || r.Name == "" })
	return overall(results), results
}

// root returns the check that a result's trouble comes from.
func root(r Result) string {
	if r.Because != "" {
		return r.Because
	}
	return r.Name
}

// unknownNames returns those of names that no check has.
func (h *Health) unknownNames(names []string) []string {
	var none []string
	for _, n := range names {
		if !slices.ContainsFunc(h.probes, func(p *probe) bool { return p.check.Name == n }) {
			none = append(none, n)
		}
	}
	return none
}

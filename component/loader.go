package component

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/perdure/perdure"
)

// Loader loads components by name, starts and stops them in the order of their
// dependencies, and invokes their methods. It is safe for concurrent use and
// must not be copied. It keeps nothing beyond the process.
type Loader struct {
	cfg   Config
	units map[string]*unit
	names []string // of the units, each after those it needs
	graph graph
	turn  chan struct{} // of size one: whoever has put something in may start and stop

	mu       sync.Mutex // guards the fields below
	starting context.CancelCauseFunc
}

// New returns a Loader, or every fault of cfg, joined: of names, types,
// configurations and dependencies. It starts nothing and makes no component.
func New(cfg Config) (*Loader, error) {
	faults := cfg.validate()
	l := &Loader{cfg: cfg.withDefaults(), graph: graph{}, turn: make(chan struct{}, 1)}
	l.cfg.Factories, l.cfg.Components = slices.Clone(cfg.Factories), slices.Clone(cfg.Components)
	var more []error
	l.units, more = l.cfg.units()
	faults = append(faults, more...)
	for name, u := range l.units {
		if u.factory != nil {
			u.prepare(&l.cfg)
		}
		l.graph[name] = u.needs
	}
	var err error
	if l.names, err = l.graph.order(); err != nil {
		faults = append(faults, err)
	}
	used := l.graph.reach(l.listed()...)
	for _, name := range slices.Sorted(maps.Keys(l.units)) {
		if u := l.units[name]; u.invalid != nil && (u.listed || used[name]) {
			faults = append(faults, fmt.Errorf("component %s: %w", name, u.invalid))
		}
	}
	if len(faults) == 0 && cfg.Manager != nil {
		faults = append(faults, cfg.Manager.Declare(l.operations(used)...))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("component: %w", err)
	}
	return l, nil
}

// operations returns those of the Manager that the program's methods are.
func (l *Loader) operations(used map[string]bool) (ops []perdure.Op) {
	for _, name := range l.names {
		u := l.units[name]
		for _, m := range u.methods {
			if m.options.Idempotent && (u.listed || used[name]) {
				ops = append(ops, m.op)
			}
		}
	}
	return ops
}

// listed returns the components that the program names, sorted.
func (l *Loader) listed() []string {
	var names []string
	for name, u := range l.units {
		if u.listed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// with returns the components of those names and all that they need, each after
// those it needs.
func (l *Loader) with(names []string) []string {
	all := l.graph.reach(names...)
	return slices.DeleteFunc(slices.Clone(l.names), func(name string) bool {
		return !all[name] && !slices.Contains(names, name)
	})
}

// take takes the turn to start and stop. If it is free the end of ctx does not matter.
func (l *Loader) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Loader) release() { <-l.turn }

// find returns a method by the names of its component and itself.
func (l *Loader) find(component, name string) (*unit, *method, error) {
	u := l.units[component]
	if u == nil {
		return nil, nil, fmt.Errorf("there is no component %.70q; %s", component, among(component, l.names))
	}
	m := u.methods[name]
	if m == nil {
		return nil, nil, fmt.Errorf("component %s has no method %.70q; %s", component, name, among(name, slices.Collect(maps.Keys(u.methods))))
	}
	return u, m, nil
}

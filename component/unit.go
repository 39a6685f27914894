package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure"
)

// unit is a component of a Loader.
type unit struct {
	name    string
	factory *Factory
	config  json.RawMessage
	invalid error // what is wrong with config
	needs   []string
	listed  bool // the program names it
	methods map[string]*method

	mu     sync.Mutex // guards the fields below
	state  State
	since  time.Time
	err    error // why it failed
	value  any
	bound  map[string]invocable
	life   context.Context //nolint:containedctx // of its invocations; stopping ends it
	end    context.CancelCauseFunc
	inside int           // invocations and checks under way
	idle   chan struct{} // closed when inside falls to zero; nil while nobody waits
	hung   int           // Starts and Stops that were abandoned and have not ended
}

// method is what a Loader knows of a method of a unit.
type method struct {
	*Callable
	options Options
	op      perdure.Op
	places  places
	stats   methodStats
}

// newUnit makes the unit of a spec and returns its faults. f may be nil.
func newUnit(s Spec, f *Factory) (*unit, []error) {
	u := &unit{name: s.Name, factory: f, methods: map[string]*method{}, config: s.Config, since: time.Now()}
	if f == nil {
		return u, nil
	}
	var faults []error
	for _, n := range f.Needs {
		u.needs = append(u.needs, or(s.Needs[n], n))
	}
	for _, n := range slices.Sorted(maps.Keys(s.Needs)) {
		if !slices.Contains(f.Needs, n) {
			faults = append(faults, fmt.Errorf("needs: factory %s does not need %q; %s", f.Name, n, among(n, f.Needs)))
		}
	}
	if len(u.config) == 0 {
		u.config = json.RawMessage("{}")
	}
	return u, faults
}

// prepare checks the configuration and makes the methods.
func (u *unit) prepare(c *Config) {
	u.invalid = u.checkConfig(c.MaxDepth)
	for i := range u.factory.Methods {
		m := &method{Callable: &u.factory.Methods[i]}
		m.options = m.Callable.options.withDefaults(c)
		m.op = perdure.Op{Name: u.name + "." + m.name, Idempotent: m.options.Idempotent, Policy: m.options.Policy}
		m.places.max, m.places.maxQueued = m.options.MaxConcurrent, m.options.MaxQueued
		u.methods[m.name] = m
	}
}

func (u *unit) checkConfig(depth int) error {
	maker := &u.factory.Maker
	if maker.make == nil {
		if string(u.config) != "{}" {
			return errors.New("config: the factory takes none")
		}
		return nil
	}
	if maker.config == nil {
		return nil // New says what is wrong with the type
	}
	err := maker.config.check(u.config, depth)
	if err == nil {
		err = recovered(func() error { return maker.check(u.config) })
	}
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// recovered makes a panic of fn an error.
func recovered(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v}
		}
	}()
	return fn()
}

// become changes the state and tells the hook. Only whoever has the Loader's
// turn calls it.
func (u *unit) become(to State, err error, hook func(StateEvent)) {
	u.mu.Lock()
	e := StateEvent{Component: u.name, From: u.state, To: to, Took: time.Since(u.since), Err: err}
	u.state, u.since, u.err = to, time.Now(), err
	u.mu.Unlock()
	if hook != nil {
		hook(e)
	}
}

// current returns the state.
func (u *unit) current() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// stateError says that a component does not run.
type stateError struct {
	name  string
	state State
	err   error
}

func (e *stateError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("component %s has %v: %v", e.name, e.state, e.err)
	}
	return fmt.Sprintf("component %s is %v", e.name, e.state)
}

func (e *stateError) Unwrap() error { return e.err }

// enter says that an invocation or a check begins. It returns the component's
// value, its methods and its life, or an error if it does not run. leave must
// follow it.
func (u *unit) enter() (value any, bound map[string]invocable, life context.Context, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != StateRunning {
		return nil, nil, nil, &stateError{u.name, u.state, u.err}
	}
	u.inside++
	return u.value, u.bound, u.life, nil
}

func (u *unit) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inside--; u.inside == 0 && u.idle != nil {
		close(u.idle)
		u.idle = nil
	}
}

// quiet returns a channel that is closed once nothing is under way.
func (u *unit) quiet() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inside == 0 {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	return u.idle
}

// abandoned returns how many invocations have been abandoned and still run.
func (u *unit) abandoned() (n int) {
	for _, m := range u.methods {
		_, _, a := m.places.counts()
		n += a
	}
	return n
}

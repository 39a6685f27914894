package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Start makes and starts the components of those names, or without any all that
// the program names, and first what they need: each once all that it needs runs,
// those that do not need each other at the same time, Config.Parallel at most.
// What runs already is left alone.
//
// If one cannot be made or started, no other is begun, the contexts of those
// under way end, and what this call had started is stopped again, in reverse; the errors are
// joined. Stop ends a Start that is under way like that too. A Start that waits
// for another Start or Stop does so until ctx ends.
func (l *Loader) Start(ctx context.Context, names ...string) error {
	var faults []error
	for _, name := range names {
		if l.units[name] == nil {
			faults = append(faults, fmt.Errorf("component: there is no component %.70q; %s", name, among(name, l.names)))
		}
	}
	if len(names) == 0 {
		names = l.listed()
	}
	todo := l.with(names)
	for _, name := range todo {
		if err := l.units[name].invalid; err != nil {
			faults = append(faults, fmt.Errorf("component %s: %w", name, err))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	return l.start(ctx, slices.DeleteFunc(todo, func(name string) bool {
		return l.units[name].current() == StateRunning
	}))
}

// start starts the components of those names, which do not run.
func (l *Loader) start(ctx context.Context, todo []string) error {
	starting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.setStarting(cancel)
	defer l.setStarting(nil)
	var mu sync.Mutex // guards the fields below
	var failed []error
	var started []string
	each(todo, l.needs, l.cfg.Parallel, func(name string) bool {
		err := context.Cause(starting)
		if err == nil {
			err = l.startUnit(starting, l.units[name])
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, fmt.Errorf("component %s: start: %w", name, err))
			cancel(errOther)
			return false
		}
		started = append(started, name)
		return true
	})
	if len(failed) == 0 {
		return nil
	}
	if err := l.stopAll(context.WithoutCancel(ctx), started); err != nil {
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

var (
	// errOther is the cause of the context of a Start while another one failed.
	errOther = errors.New("another component could not be started")
	// errStopping is the cause of the context of a Start that a Stop ended.
	errStopping = errors.New("the loader is being stopped")
)

func (l *Loader) setStarting(cancel context.CancelCauseFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starting = cancel
}

func (l *Loader) needs(name string) []string { return l.units[name].needs }

// birth is a value that is being made and started.
type birth struct {
	value any
	made  bool // value is one: it has to be stopped
}

// startUnit makes and starts one component, whose needs run.
func (l *Loader) startUnit(ctx context.Context, u *unit) error {
	if u.hanging(0) > 0 {
		return errors.New("an earlier start or stop of it did not return when its context ended, and still runs")
	}
	deps := Deps{component: u.name, values: map[string]any{}, names: u.factory.Needs}
	for i, name := range u.factory.Needs {
		deps.values[name] = l.units[u.needs[i]].held()
	}
	u.become(StateStarting, nil, l.cfg.Hooks.StateChange)
	limited, cancel := limit(ctx, l.cfg.StartTimeout, "start timeout")
	defer cancel()
	born := new(birth)
	_, err := contain(limited, l.cfg.Grace, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, u.bear(ctx, born, deps)
	}, func() { u.hanging(1) }, func(error) { // nobody will use it
		_ = l.bury(ctx, born)
		u.hanging(-1)
	})
	if err == nil && limited.Err() != nil {
		err = context.Cause(limited) // it may have begun to end what the context was for
	}
	if err != nil {
		if !isAbandoned(err) { // else it is stopped when it returns
			if late := l.bury(ctx, born); late != nil {
				err = errors.Join(err, fmt.Errorf("stop: %w", late))
			}
		}
		u.become(StateFailed, err, l.cfg.Hooks.StateChange)
		return err
	}
	u.live(ctx, born.value)
	u.become(StateRunning, nil, l.cfg.Hooks.StateChange)
	return nil
}

// bear makes and starts the value.
func (u *unit) bear(ctx context.Context, b *birth, deps Deps) error {
	if u.factory.Maker.make == nil {
		return nil
	}
	v, err := u.factory.Maker.make(ctx, deps, u.config)
	if err != nil {
		return err
	}
	b.value, b.made = v, true
	if ctx.Err() != nil { // it took too long: what it needs may not run any more
		return context.Cause(ctx)
	}
	if s, ok := v.(Starter); ok {
		return s.Start(ctx)
	}
	return nil
}

// bury stops a value that was made and will not be used.
func (l *Loader) bury(ctx context.Context, b *birth) error {
	s, ok := b.value.(Stopper)
	if !b.made || !ok {
		return nil
	}
	limited, cancel := limit(context.WithoutCancel(ctx), l.cfg.StopTimeout, "stop timeout")
	defer cancel()
	_, err := contain(limited, l.cfg.Grace, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Stop(ctx)
	}, func() {}, func(error) {})
	return err
}

// limit returns a context that ends after d, if that is positive.
func limit(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, &timeoutError{fmt.Sprintf("%s of %v", what, d)})
}

// held returns the value.
func (u *unit) held() any {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.value
}

// hanging counts the Starts and Stops that were abandoned.
func (u *unit) hanging(by int) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hung += by
	return u.hung
}

// live takes the value of a component that has been started.
func (u *unit) live(ctx context.Context, value any) {
	bound := make(map[string]invocable, len(u.methods))
	for name, m := range u.methods {
		bound[name] = m.bind(value)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.value, u.bound = value, bound
	u.life, u.end = context.WithCancelCause(context.WithoutCancel(ctx))
}

package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Stop stops all components that run, each once none that needs it runs, those
// that do not need each other at the same time, Config.Parallel at most. A
// component takes no more invocations; those under way may end for
// Config.StopTimeout, then their contexts end; after Config.Grace its Stop is
// called, for Config.StopTimeout at most. Every component is stopped, whatever
// becomes of the others and of ctx; the errors are joined. Invocations that
// were abandoned and still run are an error too.
//
// Without anything to stop, Stop does nothing.
func (l *Loader) Stop(ctx context.Context) error {
	l.mu.Lock()
	if l.starting != nil {
		l.starting(errStopping)
	}
	l.mu.Unlock()
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	return l.stopAll(ctx, slices.DeleteFunc(slices.Clone(l.names), func(name string) bool {
		return l.units[name].current() != StateRunning
	}))
}

// stopAll stops the components of those names, which run, in reverse.
func (l *Loader) stopAll(ctx context.Context, names []string) error {
	// The order in which components were started depends on time; this one does not.
	names = slices.DeleteFunc(slices.Clone(l.names), func(name string) bool { return !slices.Contains(names, name) })
	slices.Reverse(names)
	dependents := map[string][]string{}
	for _, name := range names {
		for _, n := range l.units[name].needs {
			dependents[n] = append(dependents[n], name)
		}
	}
	var mu sync.Mutex
	failed := map[string]error{}
	each(names, func(name string) []string { return dependents[name] }, l.cfg.Parallel, func(name string) bool {
		err := l.stopUnit(ctx, l.units[name])
		mu.Lock()
		defer mu.Unlock()
		failed[name] = err
		return true
	})
	var errs []error
	for _, name := range names {
		if err := failed[name]; err != nil {
			errs = append(errs, fmt.Errorf("component %s: stop: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// stopUnit stops one component, which runs and which no other one that runs needs.
func (l *Loader) stopUnit(ctx context.Context, u *unit) error {
	u.become(StateStopping, nil, l.cfg.Hooks.StateChange)
	l.drain(ctx, u)
	u.mu.Lock()
	value := u.value
	u.value, u.bound = nil, nil
	u.mu.Unlock()
	var err error
	if s, ok := value.(Stopper); ok {
		limited, cancel := limit(ctx, l.cfg.StopTimeout, "stop timeout")
		defer cancel()
		_, err = contain(limited, l.cfg.Grace, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.Stop(ctx)
		}, func() { u.hanging(1) }, func(error) { u.hanging(-1) })
	}
	if n := u.abandoned(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d abandoned invocations still run", n))
	}
	state := StateStopped
	if err != nil {
		state = StateFailed
	}
	u.become(state, err, l.cfg.Hooks.StateChange)
	return err
}

// drain waits until no invocation is under way, then ends their contexts, and
// waits until they have returned or were abandoned.
func (l *Loader) drain(ctx context.Context, u *unit) {
	quiet := u.quiet()
	limited, cancel := limit(ctx, l.cfg.StopTimeout, "stop timeout")
	defer cancel()
	select {
	case <-quiet:
	case <-limited.Done():
	}
	u.end(errStopped)
	// An invocation returns after the grace at the latest; twice that is for its hooks.
	timer := time.NewTimer(max(2*l.cfg.Grace, time.Second))
	defer timer.Stop()
	select {
	case <-quiet:
	case <-timer.C:
	}
}

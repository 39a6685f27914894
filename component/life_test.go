package component_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/perdure/perdure/component"
)

// ledger is kept by the values of random programs.
type ledger struct {
	mu      sync.Mutex
	made    int
	stopped map[*actor]int
	up      map[string]*actor // started and not stopped
	faults  []string
}

func (l *ledger) faultf(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// actor is a value that behaves as it was drawn.
type actor struct {
	name           string
	needs          []*actor
	l              *ledger
	make           string
	start, stop    string
	starting, down bool
}

var errDrawn = errors.New("drawn")

// behave does what was drawn. What hangs does so for a minute, and its context
// for ten seconds at most.
func behave(ctx context.Context, how string) error {
	switch how {
	case "fails":
		return errDrawn
	case "panics":
		panic(errDrawn)
	case "hangs":
		<-time.After(time.Minute)
	case "slow":
		return takes(time.Second)(ctx)
	}
	return nil
}

func (a *actor) Start(ctx context.Context) error {
	a.l.mu.Lock()
	a.starting = true
	for _, n := range a.needs {
		if a.l.up[n.name] != n {
			a.l.faultf("%s starts while %s, which it needs, does not run", a.name, n.name)
		}
	}
	a.l.mu.Unlock()
	err := behave(ctx, a.start)
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.starting = false
	if err == nil {
		a.l.up[a.name] = a
	}
	return err
}

func (a *actor) Stop(ctx context.Context) error {
	a.l.mu.Lock()
	a.l.stopped[a]++
	if a.starting && a.start != "panics" {
		a.l.faultf("%s is stopped while its Start is under way", a.name)
	}
	for _, other := range a.l.up {
		if slices.Contains(other.needs, a) && !other.down {
			a.l.faultf("%s is stopped while %s, which needs it, runs", a.name, other.name)
		}
	}
	a.down = true
	if a.l.up[a.name] == a {
		delete(a.l.up, a.name)
	}
	a.l.mu.Unlock()
	return behave(ctx, a.stop)
}

// program draws components that need those before them.
func program(t *rapid.T, l *ledger) (factories []component.Factory, wild bool) {
	how := func(what string) string {
		h := rapid.SampledFrom([]string{"works", "works", "works", "works", "slow", "slow", "fails", "panics", "hangs"}).Draw(t, what)
		wild = wild || h != "works" && h != "slow"
		return h
	}
	var names []string
	for i := range rapid.IntRange(1, 7).Draw(t, "components") {
		name := string(rune('a' + i))
		var needs []string
		for _, n := range names {
			if rapid.Bool().Draw(t, name+n) {
				needs = append(needs, n)
			}
		}
		a := actor{name: name, l: l, make: how(name + " is made"), start: how(name + " starts"), stop: how(name + " stops")}
		factories = append(factories, component.Factory{Name: name, Needs: needs, Maker: component.Make(
			func(ctx context.Context, deps component.Deps, _ struct{}) (*actor, error) {
				own := a
				for _, n := range needs {
					v, err := component.Get[*actor](deps, n)
					if err != nil {
						return nil, err
					}
					own.needs = append(own.needs, v)
				}
				if err := behave(ctx, own.make); err != nil {
					return nil, err
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				l.made++
				return &own, nil
			},
		)})
		names = append(names, name)
	}
	return factories, wild
}

// Whatever components do, each value that was made is stopped once, in order,
// and a program whose parts all work starts and stops without an error.
func TestEveryValueThatWasMadeIsStoppedOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := &ledger{stopped: map[*actor]int{}, up: map[string]*actor{}}
		factories, wild := program(r, l)
		parallel := rapid.IntRange(1, 3).Draw(r, "parallel")
		rounds := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 3).Draw(r, "rounds, each stopped so early")
		var wrong error
		synctest.Test(t, func(t *testing.T) { wrong = live(t.Context(), l, factories, wild, parallel, rounds) })
		if wrong != nil {
			r.Fatal(wrong)
		}
	})
}

// live runs a program for some rounds, and says what was wrong.
func live(ctx context.Context, l *ledger, factories []component.Factory, wild bool, parallel int, rounds []int) error {
	loader, err := component.New(component.Config{
		Factories: factories, Parallel: parallel, StartTimeout: 10 * time.Second, StopTimeout: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	for _, early := range rounds {
		start := make(chan error, 1)
		go func() { start <- loader.Start(ctx) }()
		if early > 0 { // at a moment between two steps
			<-time.After(time.Duration(early)*time.Second - time.Second/2)
		} else {
			start <- <-start
		}
		stopErr := loader.Stop(ctx)
		startErr := <-start
		if !wild && (stopErr != nil || startErr != nil && early == 0) {
			return fmt.Errorf("all parts work; start: %w, stop: %w", startErr, stopErr)
		}
		for _, s := range loader.Snapshot() {
			if s.State == component.StateRunning || s.State == component.StateStarting || s.State == component.StateStopping {
				return fmt.Errorf("after Stop %s is %v", s.Name, s.State)
			}
		}
	}
	<-time.After(time.Hour) // whatever hangs has returned
	synctest.Wait()
	return l.audit(loader)
}

// audit says what is wrong at the end.
func (l *ledger) audit(loader *component.Loader) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) > 0 {
		return errors.New(l.faults[0])
	}
	if len(l.stopped) != l.made {
		return fmt.Errorf("%d values were made, %d stopped", l.made, len(l.stopped))
	}
	for a, n := range l.stopped {
		if n != 1 {
			return fmt.Errorf("%s was stopped %d times", a.name, n)
		}
	}
	for _, s := range loader.Snapshot() {
		if s.Hung != 0 {
			return fmt.Errorf("%s still has %d that hang", s.Name, s.Hung)
		}
	}
	return nil
}

// A value is never used before it runs or after it is stopped, whoever starts,
// stops and invokes at the same time.
func TestInvocationsMeetOnlyRunningValues(t *testing.T) {
	var mu sync.Mutex
	running := map[*checkedUse]bool{}
	loader := load(t, component.Config{Factories: []component.Factory{{
		Name: "c",
		Maker: component.Make(func(context.Context, component.Deps, struct{}) (*checkedUse, error) {
			return &checkedUse{mu: &mu, running: running}, nil
		}),
		Methods: []component.Callable{component.MethodOf("use", (*checkedUse).Use).With(component.Options{MaxConcurrent: 2, MaxQueued: 2})},
	}}})
	ctx := t.Context()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range 50 {
				if err := loader.Start(ctx); err != nil && err.Error() != "component c: start: the loader is being stopped" {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 50 {
				if err := loader.Stop(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for range 200 {
				_, err := loader.Invoke(ctx, "c", "use", nil)
				if e, ok := errors.AsType[*component.Error](err); err != nil && (!ok || e.Reason != component.ReasonNotRunning && e.Reason != component.ReasonBusy) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := loader.Stop(ctx); err != nil {
		t.Error(err)
	}
	if len(running) > 0 {
		t.Errorf("%d values were not stopped", len(running))
	}
}

type checkedUse struct {
	mu      *sync.Mutex
	running map[*checkedUse]bool
}

func (c *checkedUse) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[c] = true
	return nil
}

func (c *checkedUse) Stop(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, c)
	return nil
}

func (c *checkedUse) Use(context.Context, struct{}) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running[c] {
		return false, errors.New("it does not run")
	}
	return true, nil
}

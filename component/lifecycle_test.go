package component_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/component"
)

// diary notes what happens, with the time since it was begun.
type diary struct {
	mu    sync.Mutex
	begun time.Time
	lines []string
}

func newDiary() *diary { return &diary{begun: time.Now()} }

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v ", time.Since(d.begun))+fmt.Sprintf(format, args...))
}

// want compares what was noted, in any order within a moment.
func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.lines)
	slices.Sort(want)
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
	d.lines = nil
}

// part is a component's value whose steps take time, fail, hang or panic.
type part struct {
	name        string
	d           *diary
	start, stop func(ctx context.Context) error
}

func (p *part) Start(ctx context.Context) error {
	p.d.note("%s starts", p.name)
	return p.start(ctx)
}

func (p *part) Stop(ctx context.Context) error {
	p.d.note("%s stops", p.name)
	return p.stop(ctx)
}

// takes returns a step that takes d, or less if its context ends.
func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ignores returns a step that takes d, whatever its context says.
func ignores(d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		<-time.After(d)
		return nil
	}
}

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// factory returns one whose value is a part.
func (d *diary) factory(name string, start, stop func(context.Context) error, needs ...string) component.Factory {
	return component.Factory{Name: name, Needs: needs, Maker: component.Make(
		func(_ context.Context, deps component.Deps, _ struct{}) (*part, error) {
			for _, n := range deps.Names() {
				if _, err := component.Get[*part](deps, n); err != nil {
					return nil, err
				}
			}
			return &part{name, d, start, stop}, nil
		},
	)}
}

func load(t *testing.T, cfg component.Config) *component.Loader {
	t.Helper()
	l, err := component.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func state(t *testing.T, l *component.Loader, name string) component.State {
	t.Helper()
	for _, s := range l.Snapshot() {
		if s.Name == name {
			return s.State
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got the error\n\t%s\nwant\n\t%s", got, want)
	}
}

func TestStartsInParallelInOrderAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		s := takes(time.Second)
		l := load(t, component.Config{Factories: []component.Factory{
			d.factory("d", s, s, "b", "c"), d.factory("a", s, s), d.factory("b", s, s, "a"), d.factory("c", takes(2*time.Second), s, "a"),
		}})
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.want(t, "0s a starts", "1s b starts", "1s c starts", "3s d starts")
		if err := l.Start(t.Context()); err != nil { // again: nothing to do
			t.Fatal(err)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.want(t, "4s d stops", "5s b stops", "5s c stops", "6s a stops")
		if got := state(t, l, "a"); got != component.StateStopped {
			t.Errorf("a is %v", got)
		}
		if err := l.Start(t.Context(), "b"); err != nil { // once more, and only what is asked for
			t.Fatal(err)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.want(t, "7s a starts", "8s b starts", "9s b stops", "10s a stops")
	})
}

func TestStartsNoMoreThanParallelAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		cfg := component.Config{Parallel: 2}
		for _, name := range []string{"e", "d", "c", "b", "a"} {
			cfg.Factories = append(cfg.Factories, d.factory(name, takes(time.Second), fails(nil)))
		}
		l := load(t, cfg)
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.want(t, "0s a starts", "0s b starts", "1s c starts", "1s d starts", "2s e starts")
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFailedStartStopsWhatHadStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		boom, stuck := errors.New("boom"), errors.New("stuck")
		l := load(t, component.Config{Factories: []component.Factory{
			d.factory("a", takes(time.Second), fails(stuck)),
			d.factory("b", takes(time.Second), takes(time.Second), "a"),
			d.factory("c", takes(time.Hour), takes(time.Second), "a"),
			d.factory("d", fails(boom), fails(nil), "b"),
			d.factory("e", fails(nil), fails(nil), "d"),
		}})
		err := l.Start(t.Context())
		wantText(t, err, "component d: start: boom\n"+
			"component c: start: another component could not be started\n"+
			"component a: stop: stuck")
		if !errors.Is(err, boom) || !errors.Is(err, stuck) {
			t.Errorf("%v is not both errors", err)
		}
		d.want(t, "0s a starts", "1s b starts", "1s c starts", "2s d starts", "2s d stops", "2s c stops", "3s b stops", "4s a stops")
		for name, want := range map[string]component.State{
			"a": component.StateFailed, "b": component.StateStopped, "c": component.StateFailed, "d": component.StateFailed, "e": component.StateNew,
		} {
			if got := state(t, l, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}

func TestAStartThatIgnoresItsEndIsAbandonedAndStoppedWhenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		l := load(t, component.Config{
			Factories:    []component.Factory{d.factory("a", ignores(time.Minute), fails(nil))},
			StartTimeout: 10 * time.Second,
		})
		err := l.Start(t.Context())
		wantText(t, err, "component a: start: did not return within 1s after the end of its context (start timeout of 10s), and still runs")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is no DeadlineExceeded", err)
		}
		d.want(t, "0s a starts")
		wantText(t, l.Start(t.Context()),
			"component a: start: an earlier start or stop of it did not return when its context ended, and still runs")
		if s := l.Snapshot()[0]; s.Hung != 1 || s.State != component.StateFailed {
			t.Errorf("snapshot = %+v", s)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		d.want(t, "1m0s a stops")
		if s := l.Snapshot()[0]; s.Hung != 0 {
			t.Errorf("snapshot = %+v", s)
		}
	})
}

func TestStopEndsAStartThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		l := load(t, component.Config{Factories: []component.Factory{
			d.factory("a", fails(nil), fails(nil)), d.factory("b", takes(time.Minute), fails(nil), "a"),
		}})
		started := make(chan error)
		go func() { started <- l.Start(context.WithoutCancel(t.Context())) }()
		<-time.After(time.Second)
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		wantText(t, <-started, "component b: start: the loader is being stopped")
		d.want(t, "0s a starts", "0s b starts", "1s b stops", "1s a stops")
	})
}

func TestEachStopHasItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		l := load(t, component.Config{
			Factories: []component.Factory{
				d.factory("a", fails(nil), takes(time.Second)),
				d.factory("b", fails(nil), ignores(time.Minute), "a"),
				d.factory("c", fails(nil), takes(time.Minute), "b"),
			},
			StopTimeout: 5 * time.Second,
		})
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantText(t, l.Stop(t.Context()), "component c: stop: stop timeout of 5s\n"+
			"component b: stop: did not return within 1s after the end of its context (stop timeout of 5s), and still runs")
		d.want(t, "0s a starts", "0s b starts", "0s c starts", "0s c stops", "5s b stops", "11s a stops")
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		<-time.After(time.Minute)
	})
}

func TestStopStopsEverythingAlsoWhenItsContextHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // whatever a select would choose
			d := newDiary()
			l := load(t, component.Config{Factories: []component.Factory{
				d.factory("a", fails(nil), takes(time.Minute)), d.factory("b", fails(nil), fails(nil), "a"),
			}})
			if err := l.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			wantText(t, l.Stop(ctx), "component a: stop: context canceled")
			d.want(t, "0s a starts", "0s b starts", "0s b stops", "0s a stops")
		}
	})
}

func TestPanicsAndExitsOfTheLifecycleAreErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		l := load(t, component.Config{Factories: []component.Factory{
			d.factory("a", func(context.Context) error { panic("a") }, func(context.Context) error { panic("b") }),
			d.factory("b", func(context.Context) error { runtime.Goexit(); return nil }, fails(nil)),
			{Name: "c", Maker: component.Make(func(context.Context, component.Deps, struct{}) (*part, error) { panic("c") })},
		}})
		wantText(t, l.Start(t.Context(), "a"), "component a: start: panicked: a\nstop: panicked: b")
		wantText(t, l.Start(t.Context(), "b"), "component b: start: ended its goroutine instead of returning")
		wantText(t, l.Start(t.Context(), "c"), "component c: start: panicked: c")
	})
}

func TestStatesAreToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, told := newDiary(), []string{}
		l := load(t, component.Config{
			Factories: []component.Factory{d.factory("a", takes(time.Second), fails(errors.New("stuck")))},
			Hooks: component.Hooks{StateChange: func(e component.StateEvent) {
				told = append(told, fmt.Sprintf("%s: %v to %v after %v: %v", e.Component, e.From, e.To, e.Took, e.Err))
			}},
		})
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		wantText(t, l.Stop(t.Context()), "component a: stop: stuck")
		if diff := cmp.Diff([]string{
			"a: new to starting after 0s: <nil>", "a: starting to running after 1s: <nil>",
			"a: running to stopping after 1m0s: <nil>", "a: stopping to failed after 0s: stuck",
		}, told); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

func TestDependenciesAreTyped(t *testing.T) {
	d := newDiary()
	get := func(fn func(component.Deps) error) string {
		t.Helper()
		l := load(t, component.Config{Factories: []component.Factory{
			d.factory("a", fails(nil), fails(nil)), d.factory("other", fails(nil), fails(nil)),
			{Name: "b", Needs: []string{"a"}, Maker: component.Make(func(_ context.Context, deps component.Deps, _ struct{}) (any, error) {
				return nil, fn(deps)
			})},
		}})
		err := l.Start(t.Context(), "b")
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		return fmt.Sprint(err)
	}
	for want, fn := range map[string]func(component.Deps) error{
		"<nil>": func(deps component.Deps) error { _, err := component.Get[component.Starter](deps, "a"); return err },
		"component b: start: component b needs a as *component_test.Store; it is a *component_test.part": func(deps component.Deps) error {
			_, err := component.Get[*Store](deps, "a")
			return err
		},
		`component b: start: component b does not list "other" in its Needs; there are: a`: func(deps component.Deps) error {
			_, err := component.Get[*part](deps, "other")
			return err
		},
	} {
		if got := get(fn); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

type limits struct {
	Batch int `json:"batch,omitempty"`
}

func (l limits) Validate() error {
	if l.Batch > 1000 {
		return errors.New("batch: more than 1000")
	}
	return nil
}

func TestNewTellsAllFaultsAtOnce(t *testing.T) {
	batch := component.Make(func(_ context.Context, _ component.Deps, cfg limits) (limits, error) { return cfg, nil })
	method := component.Method("m", func(context.Context, struct{}) (int, error) { return 0, nil })
	_, err := component.New(component.Config{
		Parallel: -1,
		Factories: []component.Factory{
			{Name: "batch", Maker: batch, Methods: []component.Callable{
				method, method,
				component.MethodOf("wrong", (*Features).Build),
				component.Method("Bad.Name", func(context.Context, chan int) (func(), error) { return nil, nil }),
				method.With(component.Options{Policy: nil, MaxConcurrent: -1}),
				{},
			}},
			{Name: "batch"},
			{Name: "Upper"},
			{Name: "needy", Needs: []string{"batch", "nowhere"}},
		},
		Components: []component.Spec{
			{Name: "one", Factory: "batch", Config: json.RawMessage(`{"btch": 1}`)},
			{Name: "one", Factory: "bach"},
			{Name: "two", Factory: "needy", Needs: map[string]string{"batch": "three", "database": "x"}, Config: json.RawMessage(`{"a": 1}`)},
			{Name: "draining", Factory: "needy"},
		},
	})
	for _, want := range []string{
		"parallel: -1 is negative",
		"factory batch: method m: is there twice",
		"factory batch: method wrong: its receiver is *component_test.Features, and the Maker makes component_test.limits",
		`factory batch: method Bad.Name: name "Bad.Name" is not 1 to 36 of [a-z0-9_-]`,
		"input: chan int: a chan is not JSON",
		"output: func(): a func is not JSON",
		"max concurrent: -1 is negative",
		"factory batch: method : is the zero Callable: use Method or MethodOf",
		"factory batch: is there twice",
		`factory Upper: name "Upper" is not 1 to 63 of [a-z0-9._-]`,
		`components[1] one: there is no factory "bach"; did you mean "batch"?`,
		"components[1] one: is there twice",
		`components[2] two: needs: factory needy does not need "database"`,
		`components[3] draining: name "draining" is reserved`,
		`component two needs "three", which does not exist`,
		`component two needs "nowhere", which does not exist`,
		"component two: config: the factory takes none",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q in\n%v", want, err)
		}
	}
}

func TestConfigurationIsStrict(t *testing.T) {
	batch := component.Factory{Name: "batch", Maker: component.Make(
		func(_ context.Context, _ component.Deps, cfg limits) (limits, error) { return cfg, nil },
	)}
	for config, want := range map[string]string{
		`{"batch": 5}`:    "<nil>",
		``:                "<nil>",
		`{"batch": "5"}`:  "component: component batch: config: /batch: want integer, got string",
		`{"btch": 5}`:     `component: component batch: config: /btch: unknown key; did you mean "batch"?`,
		`{"batch": 5000}`: "component: component batch: config: batch: more than 1000",
		`[]`:              "component: component batch: config: /: want object, got array",
		`{`:               "component: component batch: config: is not JSON, byte 1: unexpected end of JSON input",
	} {
		_, err := component.New(component.Config{
			Factories: []component.Factory{batch}, Components: []component.Spec{{Name: "batch", Config: json.RawMessage(config)}},
		})
		if got := fmt.Sprint(err); got != want {
			t.Errorf("config %s: got\n\t%s\nwant\n\t%s", config, got, want)
		}
	}
}

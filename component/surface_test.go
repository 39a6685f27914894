package component_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/redact"
)

func TestInputCanBeCheckedBeforeAnythingRuns(t *testing.T) {
	l := load(t, component.Config{
		Factories:  factories(),
		Components: []component.Spec{{Name: "features"}, {Name: "store", Config: json.RawMessage(`{"table": "feature"}`)}},
	})
	wantText(t, l.CheckInput("features", "build", json.RawMessage(`{"items": []}`)), "<nil>")
	wantText(t, l.CheckInput("features", "build", json.RawMessage(`{}`)), "/items: is required")
	wantText(t, l.CheckInput("features", "bild", nil), `component features has no method "bild"; did you mean "build"?`)
	_, err := l.Invoke(t.Context(), "features", "build", json.RawMessage(`{"items": []}`))
	wantReason(t, err, component.ReasonNotRunning, "features.build: component features is new")
	wantText(t, l.Start(t.Context(), "features", "stor", "x"), `component: there is no component "stor"; did you mean "store"?`+"\n"+
		`component: there is no component "x"; there are: features, store`)
	for _, d := range l.Describe() {
		for _, m := range d.Methods {
			if !json.Valid(m.Input) || !json.Valid(m.Output) {
				t.Errorf("%s.%s has the schemas %s, %s", d.Name, m.Name, m.Input, m.Output)
			}
		}
	}
}

func TestAFactoryServesSeveralComponents(t *testing.T) {
	all := factories()
	l := load(t, component.Config{Factories: all, Components: []component.Spec{
		{Name: "north", Factory: "store", Config: json.RawMessage(`{"table": "n"}`)},
		{Name: "south", Factory: "store", Config: json.RawMessage(`{"table": "s"}`)},
		{Name: "features", Needs: map[string]string{"store": "south"}},
	}})
	if err := l.Start(t.Context(), "features"); err != nil {
		t.Fatal(err)
	}
	got := map[string]component.State{}
	for _, s := range l.Snapshot() {
		got[s.Name+" of "+s.Factory] = s.State
	}
	if diff := cmp.Diff(map[string]component.State{
		"features of features": component.StateRunning, "south of store": component.StateRunning,
		"north of store": component.StateNew, "store of store": component.StateNew,
	}, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	// The factory's own component is not used, and so not faulty, until it is asked for.
	wantText(t, l.Start(t.Context(), "store"), "component store: config: /table: is required")
	if err := l.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSnapshotIsJSON(t *testing.T) {
	l := methods(t, component.Config{}, component.Method("m", func(context.Context, int) (int, error) { return 0, errors.New("no") }))
	_, _ = l.Invoke(t.Context(), "c", "m", json.RawMessage("1"))
	_, _ = l.Invoke(t.Context(), "c", "m", json.RawMessage("x"))
	raw, err := json.Marshal(l.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"state":"running"`, `"failed":{"failed":1,"input":1}`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
}

func TestErrorsCanBeRedacted(t *testing.T) {
	const secret = "hunter2"
	l := methods(t, component.Config{},
		component.Method("fails", func(context.Context, struct{}) (int, error) { return 0, errors.New(secret) }),
		component.Method("panics", func(context.Context, struct{}) (int, error) { panic(secret) }),
		component.Method("typed", func(context.Context, []int) (int, error) { return 0, nil }))
	for method, want := range map[string]string{"fails": "c.fails: failed: ", "panics": "c.panics: panicked: panicked"} {
		_, err := l.Invoke(t.Context(), "c", method, nil)
		if got := redact.Error(err); strings.Contains(got, secret) || !strings.HasPrefix(got, want) {
			t.Errorf("redacted to %q, want %q…", got, want)
		}
	}
	_, err := l.Invoke(t.Context(), "c", "typed", json.RawMessage(`[1, "`+secret+`"]`))
	if got := redact.Error(err); got != "c.typed: input: /1: want integer, got string" {
		t.Errorf("redacted to %q", got)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%v shows the input", err)
	}
}

func TestCallSaysWhichSideDoesNotFit(t *testing.T) {
	l := methods(t, component.Config{MaxInput: 10}, component.Method("echo", func(_ context.Context, in any) (any, error) { return in, nil }))
	_, err := component.Call[func(), int](t.Context(), l, "c", "echo", nil)
	e, ok := errors.AsType[*component.Error](err)
	if !ok || e.Reason != component.ReasonInput {
		t.Errorf("got %v", err)
	}
	_, err = component.Call[string, string](t.Context(), l, "c", "echo", "longer than that")
	wantText(t, err, "c.echo: input: has more than 10 bytes")
	_, err = component.Call[string, int](t.Context(), l, "c", "echo", "text")
	wantText(t, err, "c.echo: output: /: a JSON string cannot be decoded into int")
	out, err := component.Call[map[string]int, map[string]int](t.Context(), l, "c", "echo", nil)
	if err != nil || out != nil {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestObjectsOfManyKeys(t *testing.T) {
	l := methods(t, component.Config{},
		component.Method("count", func(_ context.Context, in map[string]int) (int, error) { return len(in), nil }),
		component.Method("none", func(context.Context, struct{}) (int, error) { return 0, nil }))
	in := map[string]int{}
	for i := range 1000 {
		in[fmt.Sprint("key", i)] = i
	}
	if n, err := component.Call[map[string]int, int](t.Context(), l, "c", "count", in); err != nil || n != 1000 {
		t.Errorf("got %v, %v", n, err)
	}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.TrimSuffix(string(raw), "}") + `,"key7":0}`
	_, err = l.Invoke(t.Context(), "c", "count", json.RawMessage(twice))
	wantReason(t, err, component.ReasonInput, "c.count: input: /key7: is there twice")
	_, err = l.Invoke(t.Context(), "c", "none", raw)
	if err == nil || !strings.HasPrefix(err.Error(), "c.none: input: /key0: unknown key; there is none; ") || !strings.HasSuffix(err.Error(), "; and 980 more") {
		t.Errorf("got %v", err)
	}
}

func TestAStartWaitsForAnotherUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		var states, returned []string
		one := component.Hooks{StateChange: func(e component.StateEvent) { states = append(states, e.To.String()) }}
		two := component.Hooks{Returned: func(e component.ReturnedEvent) { returned = append(returned, e.Method) }}
		l := load(t, component.Config{
			Factories: []component.Factory{d.factory("a", takes(time.Minute/2), fails(nil))},
			Hooks:     component.JoinHooks(component.JoinHooks(one, one), component.JoinHooks(two, two)),
		})
		first := make(chan error)
		go func() { first <- l.Start(context.WithoutCancel(t.Context())) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		synctest.Wait()
		if err := l.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"starting", "starting", "running", "running", "stopping", "stopping", "stopped", "stopped"}, states); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if len(returned) != 0 {
			t.Errorf("returned: %v", returned)
		}
	})
}

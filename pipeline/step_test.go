package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/redact"
)

// invokes is an Invoker made of a function.
type invokes func(ctx context.Context, uses string, in json.RawMessage) (json.RawMessage, error)

func (f invokes) Invoke(ctx context.Context, component, method string, in json.RawMessage) (json.RawMessage, error) {
	return f(ctx, component+"."+method, in)
}

// echo returns its input.
func echo(_ context.Context, _ string, in json.RawMessage) (json.RawMessage, error) { return in, nil }

func parsed(t *testing.T, src string) Definition {
	t.Helper()
	d, err := Parse("test.yaml", []byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReferencesKeepTheirTypes(t *testing.T) {
	d := parsed(t, `
name: p
params:
  n: {type: int, default: 9007199254740991}
  f: {type: float, default: 1.25}
  b: {type: bool, default: true}
  d: {type: date, default: 2001-12-31}
  l: {type: list, default: [1, "two", {three: 3}]}
steps:
  - name: first
    uses: x.echo
    with: {deep: {list: [10, {x: "y"}]}, none: null}
  - name: all
    uses: x.echo
    with:
      n: ${params.n}
      f: ${params.f}
      b: ${params.b}
      d: ${params.d}
      l: ${params.l}
      third: ${params.l[2].three}
      text: "${params.n}/${params.f}/${params.b}/${params.d}/${params.l[1]}/${steps.first.output.deep.list[1].x}"
      object: ${steps.first.output.deep}
      nothing: ${steps.first.output.none}
      run: ${run.id}
      literal: "$${params.n} costs $5 {}"
      nested: [{a: ["${steps.first.output.deep.list[0]}"]}]
`)
	r, err := Run(t.Context(), d, Options{Run: "run-1", Env: Env{Invoker: invokes(echo)}})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := r.Step("all")
	want := `{"b":true,"d":"2001-12-31","f":1.25,"l":[1,"two",{"three":3}],"literal":"${params.n} costs $5 {}","n":9007199254740991,` +
		`"nested":[{"a":[10]}],"nothing":null,"object":{"list":[10,{"x":"y"}]},"run":"run-1",` +
		`"text":"9007199254740991/1.25/true/2001-12-31/two/y","third":3}`
	if diff := cmp.Diff(want, string(s.Output)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestAReferenceThatLeadsNowhereFailsItsStep(t *testing.T) {
	for path, want := range map[string]string{
		"${steps.a.output.nme}":     `it has no "nme"; did you mean "name"?`,
		"${steps.a.output.list[5]}": `list is a list of 1, which has no "5"`,
		"${steps.a.output.name.x}":  `name is a string, which has no "x"`,
		"x ${steps.a.output.list}":  `is a list, which cannot stand within a text`,
		"x ${steps.a.output.nil}":   `is null, which cannot stand within a text`,
	} {
		d := parsed(t, "name: p\nsteps:\n  - {name: a, uses: x.echo, with: {name: n, list: [1], nil: null}}\n  - {name: b, uses: x.echo, with: {v: \""+path+"\"}}\n")
		_, err := Run(t.Context(), d, Options{Run: "r", Env: Env{Invoker: invokes(echo)}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "v: ") {
			t.Errorf("%s = %v, want %s", path, err, want)
		}
	}
}

func TestConditionsOmitAndOthersGoOn(t *testing.T) {
	d := parsed(t, `
name: p
params: {day: {type: date}, n: {type: int, default: 3}}
steps:
  - {name: a, uses: x.echo, with: {rows: 5, list: [1, 2, 3]}}
  - {name: yes, uses: x.echo, when: 'steps.a.output.rows > params.n and params.day < "2002-01-01" and run.id == "r"'}
  - {name: no, uses: x.echo, when: "any(steps.a.output.list, # > 3)"}
  - {name: after, uses: x.echo, needs: [no], with: {v: "${steps.no.output}"}}
  - {name: if-omitted, uses: x.echo, when: steps.no.output == nil}
  - {name: none, uses: x.echo, foreach: [], with: {v: "${item}"}}
  - {name: last, uses: x.echo, needs: [none]}
`)
	var events []string
	r, err := Run(t.Context(), d, Options{
		Run: "r", Params: map[string]string{"day": "2001-06-01"}, Env: Env{Invoker: invokes(echo)},
		Observe: func(e Event) {
			if e.Kind == EventStepEnded {
				events = append(events, e.Step+" "+string(e.Status))
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range r.Steps {
		got[s.Name] = string(s.Status) + " " + string(s.Output)
	}
	want := map[string]string{
		"a": `succeeded {"list":[1,2,3],"rows":5}`, "yes": "succeeded {}", "no": "omitted null", "after": `succeeded {"v":null}`,
		"if-omitted": "succeeded {}", "none": "succeeded []", "last": "succeeded {}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if len(events) != len(d.Steps) {
		t.Errorf("ends told of: %v, want one for each step", events)
	}
	// A condition that cannot be computed fails its step.
	d = parsed(t, "name: p\nsteps:\n  - {name: a, uses: x.echo, with: {n: x}}\n  - {name: b, uses: x.echo, when: steps.a.output.n > 5}\n  - {name: c, uses: x.echo, needs: [b]}\n")
	r, err = Run(t.Context(), d, Options{Run: "r", Env: Env{Invoker: invokes(echo)}})
	if c, _ := r.Step("c"); err == nil || !strings.Contains(err.Error(), "when: ") || c.Status != StatusSkipped {
		t.Errorf("Run = %v, c %s", err, c.Status)
	}
}

func TestItemsAreNamedByThemselves(t *testing.T) {
	d := parsed(t, `
name: p
steps:
  - {name: list, uses: x.echo, with: {of: [plain, 7, {name: named, x: 1}, {y: 2}, "not a name", 1.5, null]}}
  - name: each
    uses: x.echo
    foreach: ${steps.list.output.of}
    parallel: 2
    with: {i: "${item}"}
`)
	var mu sync.Mutex
	var keys []string
	r, err := Run(t.Context(), d, Options{Run: "r", Parallel: 1, Env: Env{Invoker: invokes(func(ctx context.Context, _ string, in json.RawMessage) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, Key(ctx, "k"))
		return in, nil
	})}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"r/list/k", "r/each/plain/k", "r/each/7/k", "r/each/named/k", "r/each/item-3/k", "r/each/item-4/k", "r/each/item-5/k", "r/each/item-6/k"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	s, _ := r.Step("each")
	if want := `[{"i":"plain"},{"i":7},{"i":{"name":"named","x":1}},{"i":{"y":2}},{"i":"not a name"},{"i":1.5},{"i":null}]`; string(s.Output) != want || s.Items != 7 {
		t.Errorf("output = %s", s.Output)
	}
	d = parsed(t, "name: p\nsteps:\n  - {name: a, uses: x.echo, with: {of: 5}}\n  - {name: b, uses: x.echo, foreach: \"${steps.a.output.of}\"}\n")
	if _, err := Run(t.Context(), d, Options{Run: "r", Env: Env{Invoker: invokes(echo)}}); err == nil || !strings.Contains(err.Error(), "foreach: is a number, want a list") {
		t.Errorf("Run = %v", err)
	}
}

// TestAnotherProcessRunsAStepOfAPlan: all that RunStep needs is JSON.
func TestAnotherProcessRunsAStepOfAPlan(t *testing.T) {
	t.Setenv("PERDURE_TEST_SECRET", "open-sesame-7")
	d := parsed(t, `
name: p
params: {n: {type: int}}
secrets: {token: {env: PERDURE_TEST_SECRET}, other: {env: PERDURE_TEST_NOT_SET}}
steps:
  - {name: a, uses: x.echo, timeout: 1m, retry: {park: 1m}, with: {n: "${params.n}", item: "${item.x}"}, foreach: [{name: one, x: 1}]}
  - {name: b, uses: my.comp.echo, with: {t: "Bearer ${secrets.token}"}}
  - {name: c, uses: x.echo, with: {t: "${secrets.other}"}}
`)
	plan, err := d.Freeze("r", map[string]int{"n": 5})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(plan)
	if err != nil || strings.Contains(string(raw), "open-sesame") {
		t.Fatalf("plan = %s, %v", raw, err)
	}
	var there Plan
	if err := json.Unmarshal(raw, &there); err != nil {
		t.Fatal(err)
	}
	if there.Digest() != plan.Digest() || there.Same(plan) != nil {
		t.Errorf("digest after a journey = %s, before %s", there.Digest(), plan.Digest())
	}
	artifacts := t.TempDir()
	env := Env{Artifacts: artifacts, Invoker: invokes(func(ctx context.Context, uses string, in json.RawMessage) (json.RawMessage, error) {
		dir, err := Artifacts(ctx)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(artifacts, dir)
		if err != nil {
			return nil, err
		}
		if uses == "my.comp.echo" {
			if string(in) != `{"t":"Bearer open-sesame-7"}` {
				return nil, fmt.Errorf("input %s", in)
			}
			return nil, fmt.Errorf("refused: %s", in)
		}
		_, deadline := ctx.Deadline()
		return json.Marshal(map[string]any{"in": in, "key": Key(ctx, "k"), "dir": rel, "deadline": deadline})
	})}
	out, err := env.RunStep(t.Context(), there, "a", "one", Input{Params: there.Params, With: there.Steps[0].With, Item: json.RawMessage(`{"x":1}`)})
	if want := `{"deadline":true,"dir":"r/a/one","in":{"item":1,"n":5},"key":"r/a/one/k"}`; err != nil || string(out) != want {
		t.Errorf("RunStep = %s, %v, want %s", out, err, want)
	}
	_, err = env.RunStep(t.Context(), there, "b", "", Input{With: there.Steps[1].With})
	if err == nil || err.Error() != `refused: {"t":"Bearer [redacted]"}` {
		t.Errorf("an error with a secret = %v", err)
	}
	_, err = env.RunStep(t.Context(), there, "c", "", Input{With: there.Steps[2].With})
	if err == nil || !strings.Contains(err.Error(), "environment variable PERDURE_TEST_NOT_SET: empty, or not set") {
		t.Errorf("a secret that is not set = %v", err)
	}
	if _, err := env.RunStep(t.Context(), there, "nobody", "", Input{}); err == nil {
		t.Error("RunStep of a step that is not there = nil")
	}
	env.Secret = func(context.Context, Secret) (redact.Secret, error) { return redact.NewSecret("given"), nil }
	env.Invoker = invokes(func(_ context.Context, _ string, in json.RawMessage) (json.RawMessage, error) {
		panic(string(in))
	})
	_, err = env.RunStep(t.Context(), there, "c", "", Input{With: there.Steps[2].With})
	if _, ok := errors.AsType[*PanicError](err); !ok {
		t.Errorf("a panic = %v, want a PanicError", err)
	}
}

func TestAPlanSaysWhatHasChanged(t *testing.T) {
	const src = "name: p\nparams: {n: {type: int, default: 1}}\nsteps:\n  - {name: a, uses: x.y, with: {b: 1, a: [2]}}\n  - {name: b, uses: x.y}\n"
	plan := func(src string) Plan {
		p, err := parsed(t, src).Freeze("r", nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	was := plan(src)
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing":           {"", "", ""},
		"the order of keys": {"{b: 1, a: [2]}", "{a: [2], b: 1}", ""},
		"how it is tried":   {"uses: x.y}", "uses: x.y, timeout: 1m, retry: {runs: 9, attempts: 7, delay: 3s}}", ""},
		"how it is written": {"b: 1, a: [2]", "b: 1.0, a: [2e0]", ""},
		"a comment":         {"name: p", "name: p # of mine", ""},
		"an input":          {"b: 1", "b: 2", "step a"},
		"a default":         {"default: 1", "default: 2", "params"},
		"a step more":       {"  - {name: b, uses: x.y}", "  - {name: b, uses: x.y}\n  - {name: c, uses: x.y}", "step c is new"},
		"another name":      {"name: b", "name: d", "step d is new, step b is gone"},
		"a condition":       {"uses: x.y}", "uses: x.y, when: params.n > 0}", "step b"},
	} {
		err := was.Same(plan(strings.Replace(src, c.old, c.new, 1)))
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrPlanChanged) || !strings.HasSuffix(err.Error(), ": "+c.want)) {
			t.Errorf("%s: Same = %v, want %q", name, err, c.want)
		}
	}
}

func TestTheSameKeyIsTheSameRun(t *testing.T) {
	d := Definition{Name: "p", Key: "flights/${params.day}/${params.n}", Params: []Param{{Name: "day", Type: ParamDate}, {Name: "n", Type: ParamInt}}}
	id := func(day, n string) string {
		got, err := d.RunID(map[string]json.RawMessage{"day": json.RawMessage(`"` + day + `"`), "n": json.RawMessage(n)})
		if err != nil || badName(got) != "" {
			t.Fatalf("RunID = %q, %v", got, err)
		}
		return got
	}
	if a, b := id("2001-01-01", "5"), id("2001-01-01", "5"); a != b || !strings.HasPrefix(a, "p.flights-2001-01-01-5-") {
		t.Errorf("RunID = %s and %s, want the same", a, b)
	}
	if a, b := id("2001-01-01", "5"), id("2001-01-01", "6"); a == b {
		t.Errorf("RunID = %s for two keys", a)
	}
	d.Key = ""
	if a, b := id("2001-01-01", "5"), id("2001-01-01", "5"); a == b {
		t.Errorf("RunID without a key = %s twice, want new ones", a)
	}
	d.Key = "${params.n}"
	if a := id("2001-01-01", "5"); !strings.HasPrefix(a, "p.5-") {
		t.Errorf("RunID = %s", a)
	}
}

func TestParametersAreChecked(t *testing.T) {
	d := Definition{Params: []Param{{Name: "day", Type: ParamDate}, {Name: "n", Type: ParamInt, Default: json.RawMessage("1")}}}
	_, err := d.Values(map[string]json.RawMessage{"n": json.RawMessage(`"x"`), "dya": json.RawMessage("1")})
	want := "params.day: missing, and it has no default; want a date such as 2001-12-31\nparams.n: \"x\" is a string, want a whole number\n" +
		"params.dya: the pipeline has no such parameter; did you mean \"day\"?"
	if err == nil || err.Error() != want {
		t.Errorf("Values = %v, want\n%s", err, want)
	}
	for _, c := range []struct {
		t          ParamType
		text, want string
	}{
		{ParamInt, "5", "5"},
		{ParamInt, "5.0", ""},
		{ParamInt, "x", ""},
		{ParamInt, "", ""},
		{ParamFloat, "1e3", "1e3"},
		{ParamFloat, "1e999", ""},
		{ParamBool, "true", "true"},
		{ParamBool, "yes", ""},
		{ParamDate, "2001-02-29", ""},
		{ParamDate, "2004-02-29", `"2004-02-29"`},
		{ParamList, "a,b", `["a","b"]`},
		{ParamList, `[1, "b"]`, `[1,"b"]`},
		{ParamList, "[1", ""},
		{ParamList, "", "[]"},
		{ParamString, "", `""`},
		{ParamPath, "", ""},
		{ParamPath, "/a/<b>", `"/a/<b>"`},
		{ParamString, "a\x00", ""},
	} {
		got, err := c.t.ParseParam(c.text)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %q = %s, %v, want %s", c.t, c.text, got, err, c.want)
		}
	}
}

func TestAStepSaysWhenItIsRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var runs []time.Duration
		d := Definition{Name: "p", Steps: []Step{{Name: "s", Attempts: 2, Do: func(context.Context, Input) (any, error) {
			runs = append(runs, time.Since(begin))
			return nil, fmt.Errorf("not yet: %w", RetryAt(io.EOF, begin.Add(time.Hour)))
		}}}}
		_, err := Run(t.Context(), d, Options{Run: "r"})
		if !errors.Is(err, io.EOF) {
			t.Errorf("Run = %v, want io.EOF", err)
		}
		if diff := cmp.Diff([]time.Duration{0, time.Hour}, runs); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestSecretsAreReadFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{"x y\n": "x y", "x\r\n": "x", "x": "x", "x\n\n": "x\n", "\n": "", "": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Secret{Name: "s", File: file}.Read()
		if s.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("file %q = %q, %v, want %q", text, s.Reveal(), err, want)
		}
	}
	if _, err := (Secret{Name: "s", File: file + "x"}).Read(); err == nil {
		t.Error("a file that is not there = nil, want an error")
	}
}

func TestMermaid(t *testing.T) {
	d := parsed(t, `
name: p
steps:
  - {name: load, uses: sql.copy}
  - {name: each, uses: sql.exec, foreach: [1], with: {n: "${steps.load.output.rows}"}}
  - {name: maybe, uses: x.y, needs: [each], when: steps.load.output.rows > 1}
`)
	want := "flowchart TD\n  s0[\"load<br/>sql.copy\"]\n  s1[[\"each<br/>sql.exec\"]]\n  s2{{\"maybe<br/>x.y\"}}\n" +
		"  s0 -.-> s1\n  s1 --> s2\n  s0 -.-> s2\n"
	if diff := cmp.Diff(want, d.Mermaid()); diff != "" {
		t.Errorf("Mermaid (-want +got):\n%s", diff)
	}
}

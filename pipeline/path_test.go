package pipeline

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestRelativePathsStartAtTheDirectoryOfThePlan(t *testing.T) {
	d := Definition{Name: "p", Dir: "/plan", Steps: []Step{{Name: "s", Uses: "a.b"}}}
	plan, err := d.Freeze("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Dir = "/elsewhere"
	if moved, err := d.Freeze("r", nil); err != nil || plan.Same(moved) != nil {
		t.Errorf("a plan whose files were moved: %v, %v", plan.Same(moved), err)
	}
	for _, c := range []struct{ env, plan, name, want string }{
		{"", "/plan", "data/x.csv", "/plan/data/x.csv"},
		{"", "/plan", "../x.csv", "/x.csv"},
		{"", "/plan", "/abs/x.csv", "/abs/x.csv"},
		{"", "/plan", "", ""},
		{"/worker", "/plan", "x.csv", "/worker/x.csv"},
		{"", "", "x.csv", "x.csv"},
	} {
		env := Env{Dir: c.env, Invoker: invokes(func(ctx context.Context, _ string, _ json.RawMessage) (json.RawMessage, error) {
			return json.Marshal(Path(ctx, c.name))
		})}
		p := plan
		p.Dir = c.plan
		for engine, run := range map[string]func() (json.RawMessage, error){
			"RunStep": func() (json.RawMessage, error) { return env.RunStep(t.Context(), p, "s", "", Input{}) },
			"RunPlan": func() (json.RawMessage, error) {
				r, err := RunPlan(t.Context(), p, Options{Env: env})
				s, _ := r.Step("s")
				return s.Output, err
			},
		} {
			var got string
			raw, err := run()
			if err == nil {
				err = json.Unmarshal(raw, &got)
			}
			if err != nil || got != c.want {
				t.Errorf("%s: Path(%q) under %q and %q = %q, %v, want %q", engine, c.name, c.env, c.plan, got, err, c.want)
			}
		}
	}
	if got := Path(t.Context(), "x"); got != "x" || Dir(t.Context()) != "" {
		t.Errorf("outside a step: Path = %q, Dir = %q", got, Dir(t.Context()))
	}
}

func TestAPathOnTheCommandLineStartsWhereItIsTyped(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ParamPath.ParseParam("x/../y.csv")
	var got string
	if err == nil {
		err = json.Unmarshal(raw, &got)
	}
	if want := filepath.Join(here, "y.csv"); err != nil || got != want {
		t.Errorf("ParseParam = %q, %v, want %q", got, err, want)
	}
}

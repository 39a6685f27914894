package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse: whatever a file holds, Parse returns a definition that can be
// frozen, or faults that are somewhere in the file.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/broken", "testdata/good"} {
		files, err := filepath.Glob(dir + "/*.yaml")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse("f.yaml", src, someMethods())
		if err != nil {
			faults, ok := errors.AsType[FaultsError](err)
			if !ok || len(faults) == 0 {
				t.Fatalf("Parse = %v, want FaultsError", err)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Line > bytes.Count(src, []byte("\n"))+2 || fault.Column < 1 {
					t.Fatalf("fault %+v is nowhere", fault)
				}
			}
			return
		}
		if err := d.Check(someMethods()); err != nil {
			t.Fatalf("Check of what was parsed: %v", err)
		}
		for i := range d.Params {
			if d.Params[i].Default == nil {
				return // a run would have to be given one
			}
		}
		p, err := d.Freeze("r", nil)
		if err != nil {
			t.Fatalf("Freeze: %v", err)
		}
		if err := p.Definition().Validate(); err != nil {
			t.Fatalf("the definition of the plan: %v", err)
		}
		again, err := p.Definition().Freeze("r", p.Params)
		if err != nil {
			t.Fatalf("Freeze of the plan's definition: %v", err)
		}
		if err := p.Same(again); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzReferences: what split returns is all of the text.
func FuzzReferences(f *testing.F) {
	for _, s := range []string{"${params.a}", "$${x}", "a ${steps.b.c.output[0].d} ${", "${item}${item.x}", "$$${run.id}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		for _, p := range split(s) {
			switch {
			case p.ref != nil:
				n += len(p.ref.text) + len("${}")
				if again, err := parseReference(p.ref.text); err != nil || again.name != p.ref.name {
					t.Fatalf("reference %q = %+v, %v, want %+v", p.ref.text, again, err, p.ref)
				}
			default:
				n += len(p.text)
			}
		}
		if n > len(s) || n < len(s)-bytes.Count([]byte(s), []byte("$${")) {
			t.Fatalf("%q has %d bytes, its parts %d", s, len(s), n)
		}
	})
}

// FuzzCondition: a condition is refused, or gives an answer or an error, and soon:
// what could make it grow is not allowed.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		`params.n > 3 and steps.a.output.list[0] == "x"`, `any(params.l, # == 2)`, `len(filter(params.l, # > 1)) > 0`,
		`params.s + params.s matches "^x+$"`, `run.id startsWith "r" ?? true`, `sum(params.l) in [1, 2, 3]`, `params?.x?.y == nil`,
		`{"a": params.l}.a[1:2] == [2]`, `not (params.s contains "x") ? true : 1 < 2 ** 8`, `params.s | upper() == "X"`,
	} {
		f.Add(s)
	}
	b := bindings{
		run:     "r",
		params:  map[string]json.RawMessage{"n": json.RawMessage("5"), "s": json.RawMessage(`"x"`), "l": json.RawMessage("[1,2,3]")},
		outputs: map[string]json.RawMessage{"a": json.RawMessage(`{"list":["x"],"f":1.5}`)},
	}
	f.Fuzz(func(t *testing.T, source string) {
		c, err := compileCondition(source)
		if err != nil {
			if len(conditionFaults(err)) == 0 {
				t.Fatalf("%q: %v, which names no fault", source, err)
			}
			return
		}
		first, err := c.holds(b)
		again, errAgain := c.holds(b)
		if first != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("%q is %v, %v and then %v, %v", source, first, err, again, errAgain)
		}
	})
}

package pipeline

import (
	"bytes"
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

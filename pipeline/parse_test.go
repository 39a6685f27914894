package pipeline

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// someMethods are those that the files of testdata may use; x.y stands for one
// of which nothing is known.
func someMethods() []Method {
	return []Method{
		{Uses: "x.y"},
		{Uses: "sql.exec", Literal: []string{"sql"}, Input: []byte(`{"type":"object","required":["sql"],"additionalProperties":false,
			"properties":{"sql":{"type":"string"},"args":{"type":["array","null"]}}}`)},
		{Uses: "sql.query"},
	}
}

// TestEachFaultIsNamedWithLineAndColumn reads the files of testdata/broken. The
// faults of each are in a file of the same name.
func TestEachFaultIsNamedWithLineAndColumn(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Errorf("%d broken files, want at least 40", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(name, src, someMethods())
			faults, ok := errors.AsType[FaultsError](err)
			if !ok {
				t.Fatalf("Parse = %v, want FaultsError", err)
			}
			lines := bytes.Count(src, []byte("\n")) + 1
			for _, f := range faults {
				if f.File != name || f.Line < 1 || f.Line > lines || f.Column < 1 || f.Message == "" {
					t.Errorf("fault %+v is nowhere in %d lines", f, lines)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", faults.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	src := bytes.Repeat([]byte("# ten megabytes\n"), 10<<20/16)
	_, err := Parse("big.yaml", src, nil)
	if want := "big.yaml:1:1: the file has 10485760 bytes, the most is 1048576"; err == nil || err.Error() != want {
		t.Errorf("Parse = %v, want %s", err, want)
	}
	many := []byte("name: p\nsteps:\n" + strings.Repeat("- 1\n", maxNodes))
	if _, err := Parse("many.yaml", many, nil); err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("Parse of many values = %v", err)
	}
	for name, src := range map[string]string{
		"lists": strings.Repeat("[", 900_000), "mappings": strings.Repeat("{a: ", 200_000), "dashes": strings.Repeat("- ", 400_000),
	} {
		if _, err := Parse(name, []byte(src), nil); err == nil {
			t.Errorf("Parse of nested %s = nil, want an error", name)
		}
	}
}

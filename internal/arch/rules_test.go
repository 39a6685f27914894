package arch_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/internal/arch"
)

// The rules are shown to fail on small trees: name → text. Words that the rules
// look for in text are put together, so that this file passes them itself.

func parse(t *testing.T, files map[string]string) *arch.Tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tree, err := arch.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func check(t *testing.T, found []arch.Finding, want ...string) {
	t.Helper()
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func importing(paths ...string) string {
	var b strings.Builder
	b.WriteString("package p\n")
	for _, p := range paths {
		b.WriteString("import _ \"" + p + "\"\n")
	}
	return b.String()
}

func TestImports(t *testing.T) {
	const (
		root = arch.Module
		pgx  = "github.com/jackc/pgx/v5"
	)
	cases := []struct {
		name, file, text string
		want             []string
	}{
		{"the core may use its leaves", "do.go", importing("context", root+"/pgerr", root+"/backoff", root+"/breaker"), nil},
		{"the core may not know the driver", "do.go", importing(pgx), []string{"do.go:2: . must not import " + pgx}},
		{
			"the core may not know its adapter", "do.go", importing(root + "/perdurepgx"),
			[]string{"do.go:2: . must not import " + root + "/perdurepgx"},
		},
		{"a leaf may not use another", "pgerr/a.go", importing(root + "/breaker"), []string{"pgerr/a.go:2: pgerr must not import " + root + "/breaker"}},
		{"a leaf may not use the core", "breaker/a.go", importing(root), []string{"breaker/a.go:2: breaker must not import " + root}},
		{"a leaf may use its own tree", "pgerr/a.go", importing(root + "/pgerr/internal/table"), nil},
		{"a directory below a leaf is bound as it is", "pgerr/internal/table/a.go", importing(pgx), []string{"pgerr/internal/table/a.go:2: pgerr must not import " + pgx}},
		{"a leaf may not use a third party", "backoff/a.go", importing("golang.org/x/exp/rand"), []string{"backoff/a.go:2: backoff must not import golang.org/x/exp/rand"}},
		{"the adapter may use the driver", "perdurepgx/a.go", importing(root, root+"/pgerr", pgx+"/pgconn"), nil},
		{"a module of a similar name is another", "perdurepgx/a.go", importing(pgx + "x"), []string{"perdurepgx/a.go:2: perdurepgx must not import " + pgx + "x"}},
		{"nobody may import cmd", "examples/flights/a.go", importing(root + "/cmd/perdure"), []string{"examples/flights/a.go:2: examples must not import " + root + "/cmd/perdure"}},
		{"cmd may use its own packages", "cmd/perdure/main.go", importing(root+"/cmd/perdure/internal/table", "github.com/spf13/cobra"), nil},
		{"tests may import what they need", "pgerr/a_test.go", importing(pgx, root+"/internal/pgcluster"), nil},
		{"a new directory needs a rule", "misc/a.go", importing(), []string{"misc/a.go: no rule covers this directory: add one to Rules in internal/arch"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check(t, parse(t, map[string]string{c.file: c.text}).Imports(arch.Rules()), c.want...)
		})
	}
}

func TestSource(t *testing.T) {
	const (
		sleep = "no time.Sleep: wait on a channel or a timer"
		skip  = "no skipped tests: a missing server is a failure that says what to install"
	)
	cases := []struct {
		name, file, body string
		want             []string
	}{
		{"an init function", "a.go", "func init() {}", []string{"a.go:2: no init functions: main wires everything"}},
		{"a method named init", "a.go", "type T int\nfunc (T) init() {}", nil},
		{"a panic", "a.go", "func f() { panic(1) }", []string{"a.go:2: no panics: return an error"}},
		{"the panic that drops a connection", "a.go", "func f() { panic(http.ErrAbortHandler) }", nil},
		{"a panic in a package variable", "a.go", "var f = func() { panic(1) }", []string{"a.go:2: no panics: return an error"}},
		{"a panic in a test", "a_test.go", "func f() { panic(1) }", nil},
		{"a sleep", "a.go", "func f() { time.Sleep(1) }", []string{"a.go:2: " + sleep}},
		{"a sleep in a test", "a_test.go", "func f() { go func() { time.Sleep(1) }() }", []string{"a_test.go:2: " + sleep}},
		{"a skipped test", "a_test.go", "func f(t *testing.T) { t.Skip() }", []string{"a_test.go:2: " + skip}},
		{"a skip from a helper", "pg.go", "func f(h harness) { h.tb.Skipf(`no server`) }", []string{"pg.go:2: " + skip}},
		{"a discarded input of rapid", "a_test.go", "func f(t *testing.T) { g(t, func(t *rapid.T) { t.Skip() }) }", nil},
		{"a skip beside rapid", "a_test.go", "func f(t *testing.T) { g(t, func(r *rapid.T) { t.Skip() }) }", []string{"a_test.go:2: " + skip}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check(t, parse(t, map[string]string{c.file: "package p\n" + c.body + "\n"}).Source(), c.want...)
		})
	}
}

func TestLengths(t *testing.T) {
	long := "package p\n" + strings.Repeat("\n", 9)
	tree := parse(t, map[string]string{
		"a.go":     long,
		"gen.go":   "// Code generated by gen. DO NOT EDIT.\n\n" + long,
		"short.go": "package p\n",
		"long.md":  long,
	})
	check(t, tree.Lengths(9), "a.go: 10 lines, at most 9: split it by idea")
	check(t, tree.Lengths(10))
}

func TestMarkers(t *testing.T) {
	todo := "TO" + "DO"
	place := "/" + "work/data"
	tree := parse(t, map[string]string{
		"a.go":     "package p\n\n// " + todo + ": later\n\nvar _ = context." + todo + "\n",
		"b.md":     "see `" + place + "`\nand ../" + "shared/x\nbut not https://example.org" + place + " or a network\n",
		"Makefile": "\tcurl https://proxy." + "golang.org/x\n",
		"c.csv":    todo + "\n",
		"d.md":     "a\n<<<<<<" + "< HEAD\nb\n=======\nc\n>>>>>>" + "> main\n",
	})
	check(t, tree.Markers(),
		`Makefile:1: "proxy.`+`golang.org": the host of a registry: name the package, not where it comes from`,
		`a.go:3: "`+todo+`": no notes to oneself: do it, or open an issue`,
		"b.md:1: \"`/"+"work/\": a path of one machine",
		`b.md:2: "../`+`shared": a path of one machine`,
		`d.md:2: "<<<<<<`+`<": a merge that was not finished`,
		`d.md:6: ">>>>>>`+`>": a merge that was not finished`,
	)
}

func TestReadme(t *testing.T) {
	check(t, parse(t, nil).Readme(), "README.md: missing")
	check(t, parse(t, map[string]string{"README.md": "`make demo`"}).Readme(), `README.md: does not name "make test"`)
	check(t, parse(t, map[string]string{"README.md": "`make demo`, `make test`"}).Readme())
}

func TestSnippets(t *testing.T) {
	const example = "package p\n\nfunc Example() {\n\tm := perdure.New()\n\tif m == nil {\n\t\treturn\n\t}\n\tdefer m.Close()\n}\n"
	readme := func(code string) string { return "# p\n\n```go\n" + code + "\n```\n\n```sh\nmake demo\n```\n" }
	cases := []struct {
		name, code string
		want       []string
	}{
		{"the example may say more", "m := perdure.New() // with defaults\ndefer m.Close()", nil},
		{"a line of its own", "m := perdure.Make()", []string{"README.md:3: the snippet is in no runnable example: write it there first"}},
		{"the order counts", "defer m.Close()\nm := perdure.New()", []string{"README.md:3: the snippet is in no runnable example: write it there first"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check(t, parse(t, map[string]string{"README.md": readme(c.code), "example_test.go": example}).Snippets(), c.want...)
		})
	}
}

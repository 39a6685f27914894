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
	const example = "package p\n\nvar (\n\tone = 1\n\ttwo = 2 // for two\n)\n\ntype T struct{ n int }\n\n" +
		"func (t *T) Run() {\n\tfor {\n\t\tt.n++\n\t}\n}\n\n" +
		"func Example() {\n\tm, err := perdure.New() // with defaults\n\tif err != nil {\n\t\tfmt.Println(err)\n\t\treturn\n\t}\n" +
		"\t// At the end.\n\tdefer m.Close()\n\tfmt.Println(m)\n\t// Output: x\n}\n"
	const whole = "m, err := perdure.New() // with defaults\ndefer m.Close()\nfmt.Println(m)"
	doc := func(mark, code string) string {
		return "# p\n\n" + mark + "\n```go\n" + code + "\n```\n\n```sh\nmake demo\n```\n"
	}
	from := func(names string) string { return "<!-- from: example_test.go#" + names + " -->" }
	cases := []struct {
		name, mark, code string
		want             string
	}{
		{"a body without its if err != nil", from("Example"), whole, ""},
		{"a body with it", from("Example"), "m, err := perdure.New() // with defaults\nif err != nil {\n\tfmt.Println(err)\n\treturn\n}\ndefer m.Close()\nfmt.Println(m)", ""},
		{"a comment of the source", from("Example"), "m, err := perdure.New() // with defaults\n\n// At the end.\ndefer m.Close()\nfmt.Println(m)", ""},
		{"what is left out is marked", from("Example"), "// …\ndefer m.Close()\n// …", ""},
		{"a part", strings.Replace(from("Example"), " -->", " (part) -->", 1), "defer m.Close()", ""},
		{"a part that is not there", strings.Replace(from("Example"), " -->", " (part) -->", 1), "defer m.End()", `not as in example_test.go#Example: "defer m.End()"`},
		{"two declarations", from("two,Example"), "var two = 2 // for two\n\n" + whole, ""},
		{"a method", from("T.Run"), "func (t *T) Run() {\n\tfor {\n\t\tt.n++\n\t}\n}", ""},
		{"a method and its type without what is in its braces", from("T,T.Run"), "type T struct{ n int }\nfunc (t *T) Run() { … }", ""},
		{"no mark", "", whole, "no source is named above the block: <!-- from: file_test.go#ExampleName -->"},
		{"a line of its own", from("Example"), "m, err := perdure.Make()", `not as in example_test.go#Example: "m, err := perdure.Make()"`},
		{"the order counts", from("Example"), "// …\nfmt.Println(m)\ndefer m.Close()", `not as in example_test.go#Example: "defer m.Close()"`},
		{"a comment that the source has not", from("Example"), "m, err := perdure.New() // as you like\n// …", `not as in example_test.go#Example: "m, err := perdure.New() // as you like"`},
		{"left out without a mark", from("Example"), "m, err := perdure.New() // with defaults\ndefer m.Close()", "example_test.go#Example goes on after the block: mark what is left out"},
		{"no such example", from("ExampleT"), whole, "example_test.go declares no ExampleT"},
		{"no such file", "<!-- from: none_test.go#Example -->", whole, "there is no Go file none_test.go"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"README.md", "docs/concepts/p.md"} {
				var want []string
				if c.want != "" {
					want = []string{name + ":4: " + c.want}
				}
				check(t, parse(t, map[string]string{name: doc(c.mark, c.code), "example_test.go": example}).Snippets(), want...)
			}
		})
	}
}

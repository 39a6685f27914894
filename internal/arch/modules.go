package arch

import (
	"fmt"
	"path"
	"strings"
)

// strangers are modules that whoever imports the library must not meet in its
// go.mod, not even indirectly: they belong to the nested modules.
func strangers() []string {
	return []string{
		"github.com/dbos-inc", "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/ncruces/go-sqlite3",
		"go.temporal.io", "github.com/spf13/cobra", "github.com/chromedp", "github.com/go-rod", "github.com/playwright-community",
	}
}

// RootModule checks that the root go.mod names none of the strangers.
func (t *Tree) RootModule() []Finding {
	f, ok := t.find("go.mod")
	if !ok {
		return []Finding{{"go.mod", 0, "missing"}}
	}
	var out []Finding
	for _, r := range requirements(f.text) {
		for _, s := range strangers() {
			if within(r.module, s) {
				out = append(out, Finding{f.name, r.line, r.module + " belongs in a nested module"})
			}
		}
	}
	return out
}

// Nested checks that each nested module that requires the root builds from the
// working tree without a workspace, which tidy and the linters need.
func (t *Tree) Nested() []Finding {
	var out []Finding
	for _, f := range t.files {
		if path.Base(f.name) != "go.mod" || f.name == "go.mod" {
			continue
		}
		up := strings.TrimSuffix(strings.Repeat("../", strings.Count(f.name, "/")), "/")
		for _, r := range requirements(f.text) {
			want := fmt.Sprintf("%s => %s", r.module, path.Join(up, strings.TrimPrefix(strings.TrimPrefix(r.module, Module), "/")))
			if within(r.module, Module) && !strings.Contains(f.text, want+"\n") {
				out = append(out, Finding{f.name, r.line, "wants \"replace " + want + "\""})
			}
		}
	}
	return out
}

// outside are the modules whose versions must not mix with the library's: the
// tools, and the Temporal server that a test starts as a process.
func outside(dir string) bool {
	return dir == "tools" || dir == "perduretemporal/internal/temporalserver"
}

// Workspace checks that go.work names every module but those outside: a module
// that it forgets is never tested.
func (t *Tree) Workspace() []Finding {
	work, ok := t.find("go.work")
	if !ok {
		return []Finding{{"go.work", 0, "missing"}}
	}
	named := map[string]bool{}
	for word := range strings.FieldsSeq(work.text) {
		named[path.Clean(word)] = true
	}
	var out []Finding
	for _, f := range t.files {
		if path.Base(f.name) != "go.mod" {
			continue
		}
		switch dir := f.dir(); {
		case outside(dir) && named[dir]:
			out = append(out, Finding{work.name, 0, "must not use " + dir})
		case !outside(dir) && !named[dir]:
			out = append(out, Finding{work.name, 0, "does not use " + dir})
		}
	}
	return out
}

// Dependencies checks that each direct dependency and each tool of each go.mod
// has a line in docs/dependencies.md that names it in backquotes.
func (t *Tree) Dependencies() []Finding {
	const page = "docs/dependencies.md"
	doc, ok := t.find(page)
	if !ok {
		return []Finding{{page, 0, "missing"}}
	}
	var out []Finding
	for _, f := range t.files {
		if path.Base(f.name) != "go.mod" {
			continue
		}
		for _, r := range requirements(f.text) {
			if r.indirect || within(r.module, Module) || strings.Contains(doc.text, "`"+r.module+"`") {
				continue
			}
			out = append(out, Finding{f.name, r.line, r.module + " has no line in " + page})
		}
	}
	return out
}

// requirement is one module that a go.mod names, or one tool.
type requirement struct {
	module   string
	line     int
	indirect bool
}

// requirements reads the require and tool directives of a go.mod. Tools are
// direct whatever the comment on their module says.
func requirements(text string) []requirement {
	var out []requirement
	block := ""
	for i, line := range strings.Split(text, "\n") {
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
			continue
		case words[0] == ")":
			block = ""
			continue
		case len(words) == 2 && words[1] == "(":
			block = words[0]
			continue
		}
		verb := block
		if block == "" {
			verb, words = words[0], words[1:]
		}
		if (verb == "require" || verb == "tool") && len(words) > 0 {
			indirect := verb == "require" && strings.TrimSpace(comment) == "indirect"
			out = append(out, requirement{strings.Trim(words[0], `"`), i + 1, indirect})
		}
	}
	return out
}

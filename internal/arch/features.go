package arch

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// featuresPage says of each thing that was asked for where it is and what shows it.
const featuresPage = "docs/features.md"

// notYet begins the part of the page whose rows need no test.
const notYet = "## Not there yet"

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	linkTo    = regexp.MustCompile(`\]\(([^)#]+)\)`)
	goName    = regexp.MustCompile(`^([a-z][a-z0-9/]*)\.([A-Z]\w*(?:\.[A-Z]\w*)?)$`)
	testName  = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark|Example)`)
	tableRule = regexp.MustCompile(`^\|[-:| ]+\|$`)
)

// Features checks the tables of docs/features.md: a row names in its last cell
// at least one test, fuzz target, benchmark or example that there is, as
// `directory.Name` (the root is perdure); Go names and linked files exist, too,
// wherever they stand on the page.
func (t *Tree) Features() []Finding {
	page, ok := t.find(featuresPage)
	if !ok {
		return []Finding{{featuresPage, 0, "missing"}}
	}
	names := t.names()
	var out []Finding
	needed, inTable := true, false
	for i, line := range strings.Split(page.text, "\n") {
		add := func(format string, args ...any) {
			out = append(out, Finding{page.name, i + 1, fmt.Sprintf(format, args...)})
		}
		if strings.HasPrefix(line, "## ") {
			needed = line != notYet
		}
		for _, m := range linkTo.FindAllStringSubmatch(line, -1) {
			if target := path.Join("docs", m[1]); !strings.Contains(m[1], ":") && !t.has(target) {
				add("there is no %s", target)
			}
		}
		for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
			if n := goName.FindStringSubmatch(m[1]); n != nil && !names[n[1]][n[2]] {
				add("there is no %s", m[1])
			}
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case tableRule.MatchString(line):
			inTable = true
		case inTable && needed:
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if !slices.ContainsFunc(codeSpan.FindAllStringSubmatch(cells[len(cells)-1], -1), isTestName) {
				add("no test shows it: %s", strings.TrimSpace(cells[0]))
			}
		}
	}
	return out
}

func isTestName(span []string) bool {
	n := goName.FindStringSubmatch(span[1])
	return n != nil && testName.MatchString(n[2])
}

// has reports whether a file, or a directory with files, is in the tree.
func (t *Tree) has(name string) bool {
	return slices.ContainsFunc(t.files, func(f file) bool { return within(f.name, name) })
}

// names returns what is declared at the top of the files of each directory:
// functions, types with their methods and fields, variables, constants; tests too.
func (t *Tree) names() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, f := range t.files {
		if !f.isGo() {
			continue
		}
		dir := f.dir()
		if dir == "." {
			dir = path.Base(Module)
		}
		if out[dir] == nil {
			out[dir] = map[string]bool{}
		}
		for _, d := range f.ast.Decls {
			for _, name := range declares(d) {
				out[dir][name] = true
			}
		}
	}
	return out
}

func declares(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{funcName(d)}
	case *ast.GenDecl:
		var out []string
		for _, s := range d.Specs {
			out = append(out, specNames(s)...)
			if s, ok := s.(*ast.TypeSpec); ok {
				out = append(out, members(s)...)
			}
		}
		return out
	}
	return nil
}

// members returns Type.Member for the fields of a struct and the methods of an interface.
func members(s *ast.TypeSpec) []string {
	var list *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return nil
	}
	var out []string
	for _, field := range list.List {
		for _, id := range field.Names {
			out = append(out, s.Name.Name+"."+id.Name)
		}
	}
	return out
}

// Package arch holds the rules of the house that no compiler checks: which
// package may import which, what a go.mod may name, how long a file may be, and
// what must never be written. Its tests apply them to the whole repository, all
// modules included, and show on small trees that each rule can fail.
package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Module is the path of the root module; every package of the repository lies
// under it, whichever go.mod it belongs to.
const Module = "github.com/perdure/perdure"

// Finding is one breach of a rule.
type Finding struct {
	File string // relative to the root of the repository, with slashes
	Line int    // zero when the whole file is meant
	Text string // what is wrong, and what to do
}

// String returns the finding as "file:line: text".
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// Tree is a repository as the rules see it: all Go files parsed, all other text
// read. It is not changed after Load and is safe for concurrent use.
type Tree struct {
	fset  *token.FileSet
	files []file
}

type file struct {
	name string // relative, with slashes
	text string
	ast  *ast.File // nil when the file is not Go
}

func (f *file) dir() string     { return path.Dir(f.name) }
func (f *file) isTest() bool    { return strings.HasSuffix(f.name, "_test.go") }
func (f *file) isGo() bool      { return f.ast != nil }
func (f *file) generated() bool { return f.ast != nil && ast.IsGenerated(f.ast) }

// Load reads the tree under fsys. It leaves out what no person writes: version
// control, unpacked tools, built binaries, test data, checksums, and files that
// are not text. It fails on a Go file that does not parse.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".tools", "bin", "testdata", "node_modules":
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !isText(name) {
			return nil
		}
		return t.add(fsys, name)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return t, nil
}

func (t *Tree) add(fsys fs.FS, name string) error {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	f := file{name: name, text: string(b)}
	if path.Ext(name) == ".go" {
		f.ast, err = parser.ParseFile(t.fset, name, b, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
	}
	t.files = append(t.files, f)
	return nil
}

func isText(name string) bool {
	switch path.Ext(name) {
	case ".go", ".md", ".mod", ".work", ".yml", ".yaml", ".sh", ".sql", ".py", ".html", ".css", ".js":
		return true
	}
	switch path.Base(name) {
	case "Makefile", "run", "Dockerfile", ".gitattributes", ".gitignore", ".editorconfig":
		return true
	}
	return false
}

func (t *Tree) line(n ast.Node) int { return t.fset.Position(n.Pos()).Line }

func (t *Tree) find(name string) (file, bool) {
	i, ok := slices.BinarySearchFunc(t.files, name, func(f file, n string) int { return cmp.Compare(f.name, n) })
	if !ok {
		return file{}, false
	}
	return t.files[i], true
}

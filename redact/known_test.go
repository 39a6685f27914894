package redact

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTextsOfOwnErrorsAreKnown: an error that perdure makes with a constant
// text is told by it, in whichever package it is.
func TestTextsOfOwnErrorsAreKnown(t *testing.T) {
	found := 0
	for _, dir := range []string{"..", "../perdurepgx", "../perduresql", "../internal/outcome", "../internal/adapter"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name := f.Name()
			if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				text, ok := newErrorText(n)
				if ok {
					found++
				}
				if ok && !constant(text) {
					t.Errorf("%s/%s: %q is not in the list of known texts", dir, name, text)
				}
				return true
			})
		}
	}
	if found < 20 {
		t.Errorf("%d errors found, want the sentinels of all packages", found)
	}
}

// newErrorText returns the text of errors.New("text").
func newErrorText(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return "", false
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fun.Sel.Name != "New" {
		return "", false
	}
	if pkg, ok := fun.X.(*ast.Ident); !ok || pkg.Name != "errors" {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

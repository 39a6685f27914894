package arch

import (
	"go/ast"
	"go/types"
	"slices"
)

// Source checks what Go files must not do. Refused are init functions, panics
// outside tests, time.Sleep everywhere (tests wait on a channel, or advance the
// clock of a synctest bubble with a timer), and skipped tests; a skip on a
// *rapid.T is none, it discards one drawn input.
func (t *Tree) Source() []Finding {
	var out []Finding
	for _, f := range t.files {
		if !f.isGo() || f.generated() {
			continue
		}
		c := checker{tree: t, file: f}
		for _, decl := range f.ast.Decls {
			c.decl(decl)
		}
		out = append(out, c.found...)
	}
	return out
}

// checker walks one file; scopes are the parameter lists of the functions that
// enclose the node, the innermost last.
type checker struct {
	tree   *Tree
	file   file
	scopes []*ast.FieldList
	found  []Finding
}

func (c *checker) report(n ast.Node, text string) {
	c.found = append(c.found, Finding{c.file.name, c.tree.line(n), text})
}

func (c *checker) decl(d ast.Decl) {
	fn, ok := d.(*ast.FuncDecl)
	if !ok {
		c.walk(d)
		return
	}
	if fn.Recv == nil && fn.Name.Name == "init" {
		c.report(fn, "no init functions: main wires everything")
	}
	if fn.Body != nil {
		c.function(fn.Type, fn.Body)
	}
}

func (c *checker) function(typ *ast.FuncType, body *ast.BlockStmt) {
	c.scopes = append(c.scopes, typ.Params)
	c.walk(body)
	c.scopes = c.scopes[:len(c.scopes)-1]
}

func (c *checker) walk(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			c.function(n.Type, n.Body)
			return false
		case *ast.CallExpr:
			c.call(n)
		}
		return true
	})
}

// abortsHandler tells the one panic that is an interface: it makes net/http
// drop the connection.
func abortsHandler(call *ast.CallExpr) bool {
	return len(call.Args) == 1 && types.ExprString(call.Args[0]) == "http.ErrAbortHandler"
}

func (c *checker) call(call *ast.CallExpr) {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		if fun.Name == "panic" && !c.file.isTest() && !abortsHandler(call) {
			c.report(call, "no panics: return an error")
		}
	case *ast.SelectorExpr:
		switch fun.Sel.Name {
		case "Sleep":
			if x, ok := fun.X.(*ast.Ident); ok && x.Name == "time" {
				c.report(call, "no time.Sleep: wait on a channel or a timer")
			}
		case "Skip", "Skipf", "SkipNow":
			if c.typeOf(fun.X) != "*rapid.T" {
				c.report(call, "no skipped tests: a missing server is a failure that says what to install")
			}
		}
	}
}

// typeOf returns the type, as written, of an expression that names a parameter
// of an enclosing function, and "" for any other.
func (c *checker) typeOf(x ast.Expr) string {
	id, ok := x.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, scope := range slices.Backward(c.scopes) {
		for _, field := range scope.List {
			for _, name := range field.Names {
				if name.Name == id.Name {
					return types.ExprString(field.Type)
				}
			}
		}
	}
	return ""
}

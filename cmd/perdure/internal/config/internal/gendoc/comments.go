package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// comments are the comments of fields, by "package.Type.key", where key is what
// the yaml tag says.
type comments map[string]string

// read adds the comments of all structs in a directory.
func (c comments) read(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			t, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := t.Type.(*ast.StructType); ok {
				c.add(f.Name.Name+"."+t.Name.Name, s)
			}
			return false
		})
	}
	return nil
}

func (c comments) add(typeName string, s *ast.StructType) {
	for _, f := range s.Fields.List {
		if f.Tag == nil || f.Doc == nil || len(f.Names) == 0 {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		key, _, _ := strings.Cut(reflect.StructTag(tag).Get("yaml"), ",")
		text := strings.Join(strings.Fields(f.Doc.Text()), " ")
		// "MaxAttempts is how often" is about the key here: "How often".
		for _, verb := range []string{" is ", " are ", " says ", " lets ", " holds ", " keeps ", " makes ", " names ", " bounds ", " configures ", " restricts "} {
			if rest, ok := strings.CutPrefix(text, f.Names[0].Name+verb); ok {
				if verb != " is " && verb != " are " {
					rest = strings.TrimSpace(verb) + " " + rest
				}
				text = strings.ToUpper(rest[:1]) + rest[1:]
				break
			}
		}
		c[typeName+"."+key] = text
	}
}

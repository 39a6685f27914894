package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// Snippets checks the Go code of README.md and of docs against code that is
// compiled. Each block has a mark of its source above it, on a line of its own:
//
//	<!-- from: perdurepgx/example_test.go#claimOrder,ExampleDB_InTx -->
//
// The block then equals these declarations, one after the other: the body of an
// Example, or the whole of anything else (a method is Type.Method). What may
// differ: space; comments that have a line to themselves in the source; an
// "if err != nil" of the source, which may be left out; and what the block
// marks as left out, by a line "// …" for any number of lines, or by "{ … }" at
// a line's end for what is within the braces. With " (part)" at the mark's end
// the block may begin and end anywhere in its source.
func (t *Tree) Snippets() []Finding {
	var out []Finding
	for _, f := range t.files {
		if f.name != "README.md" && (path.Ext(f.name) != ".md" || !within(f.name, "docs")) {
			continue
		}
		lines := strings.Split(f.text, "\n")
		for begin := 0; begin < len(lines); begin++ {
			if strings.TrimSpace(lines[begin]) != "```go" {
				continue
			}
			end := begin + 1
			for end < len(lines) && strings.TrimSpace(lines[end]) != "```" {
				end++
			}
			if text := t.snippet(lines[:begin], lines[begin+1:end]); text != "" {
				out = append(out, Finding{f.name, begin + 1, text})
			}
			begin = end
		}
	}
	return out
}

// snippet returns what is wrong with a block that stands below above, or "".
func (t *Tree) snippet(above, block []string) string {
	mark := ""
	if len(above) > 0 {
		mark = strings.TrimSpace(above[len(above)-1])
	}
	from, marked := strings.CutPrefix(mark, "<!-- from: ")
	from, closed := strings.CutSuffix(from, " -->")
	from, part := strings.CutSuffix(from, " (part)")
	name, decls, named := strings.Cut(from, "#")
	if !marked || !closed || !named {
		return "no source is named above the block: <!-- from: file_test.go#ExampleName -->"
	}
	source, ok := t.find(name)
	if !ok || !source.isGo() {
		return "there is no Go file " + name
	}
	var code []string
	for decl := range strings.SplitSeq(decls, ",") {
		lines, found := t.declared(&source, decl)
		if !found {
			return fmt.Sprintf("%s declares no %s", name, decl)
		}
		code = append(code, lines...)
	}
	shown, far := codeLines(block), 0
	if part {
		shown = slices.Concat([]string{leftOut}, shown, []string{leftOut})
	}
	switch {
	case same(shown, codeLines(code), &far):
		return ""
	case far < len(shown):
		return fmt.Sprintf("not as in %s: %q", from, shown[far])
	default:
		return fmt.Sprintf("%s goes on after the block: mark what is left out", from)
	}
}

// leftOut is the line of a block that stands for any number of its source's.
const leftOut = "// …"

// declared returns the lines of a declaration of f.
func (t *Tree) declared(f *file, name string) ([]string, bool) {
	text := func(from, to token.Pos) string {
		return f.text[t.fset.Position(from).Offset:t.fset.Position(to).Offset]
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if funcName(d) != name {
				continue
			}
			if strings.HasPrefix(name, "Example") {
				return bodyLines(text(d.Body.Lbrace+1, d.Body.Rbrace)), true
			}
			return append(docLines(d.Doc), strings.Split(text(d.Pos(), d.End()), "\n")...), true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if slices.Contains(specNames(s), name) {
					end := s.End()
					line := t.fset.File(end).LineStart
					if next := t.line(s) + strings.Count(text(s.Pos(), end), "\n") + 1; next <= t.fset.File(end).LineCount() {
						end = line(next) - 1 // with the comment behind it
					}
					return append(docLines(d.Doc), strings.Split(d.Tok.String()+" "+text(s.Pos(), end), "\n")...), true
				}
			}
		}
	}
	return nil, false
}

// docLines returns the lines of a doc comment.
func docLines(doc *ast.CommentGroup) []string {
	var out []string
	if doc != nil {
		for _, c := range doc.List {
			out = append(out, c.Text)
		}
	}
	return out
}

// bodyLines returns the lines of an example without what the test tool reads.
func bodyLines(body string) []string {
	lines := strings.Split(body, "\n")
	for i, l := range lines {
		if l := strings.TrimSpace(l); strings.HasPrefix(l, "// Output:") || strings.HasPrefix(l, "// Unordered output:") {
			return lines[:i]
		}
	}
	return lines
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	recv := d.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	if id, ok := recv.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return ""
}

func specNames(s ast.Spec) []string {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return []string{s.Name.Name}
	case *ast.ValueSpec:
		var names []string
		for _, id := range s.Names {
			names = append(names, id.Name)
		}
		return names
	}
	return nil
}

// codeLines returns the lines that are not blank, each with single spaces.
func codeLines(lines []string) []string {
	var out []string
	for _, l := range lines {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// same reports whether block is code but for what may be left out. In far it
// leaves the first line of block that never fitted.
func same(block, code []string, far *int) bool { return sameFrom(block, code, len(block), far) }

func sameFrom(block, code []string, all int, far *int) bool {
	*far = max(*far, all-len(block))
	if len(block) == 0 && len(code) == 0 {
		return true
	}
	if len(block) > 0 && block[0] == leftOut {
		return sameFrom(block[1:], code, all, far) || len(code) > 0 && sameFrom(block, code[1:], all, far)
	}
	if len(code) == 0 {
		return false
	}
	if len(block) > 0 {
		if block[0] == code[0] && sameFrom(block[1:], code[1:], all, far) {
			return true
		}
		if head, ok := strings.CutSuffix(block[0], " … }"); ok && head == code[0] && sameFrom(block[1:], code[closing(code):], all, far) {
			return true
		}
	}
	switch {
	case strings.HasPrefix(code[0], "//"):
		return sameFrom(block, code[1:], all, far)
	case code[0] == "if err != nil {":
		return sameFrom(block, code[closing(code):], all, far)
	}
	return false
}

// closing returns how many lines there are to the end of the braces that the
// first one opens.
func closing(code []string) int {
	depth := 0
	for i, l := range code {
		depth += strings.Count(l, "{") - strings.Count(l, "}")
		if depth <= 0 && i > 0 {
			return i + 1
		}
	}
	return len(code)
}

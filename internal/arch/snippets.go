package arch

import (
	"path"
	"strings"
)

// Snippets checks the Go snippets of README.md against the runnable examples:
// each of a snippet's lines must be found, in order, in one example file. The
// example may say more, such as what to do about an error; comments at the end
// of a line do not count.
func (t *Tree) Snippets() []Finding {
	readme, ok := t.find("README.md")
	if !ok {
		return nil
	}
	var examples [][]string
	for _, f := range t.files {
		if f.isTest() && strings.HasPrefix(path.Base(f.name), "example") {
			examples = append(examples, codeLines(strings.Split(f.text, "\n")))
		}
	}
	var out []Finding
	lines := strings.Split(readme.text, "\n")
	for begin := 0; begin < len(lines); begin++ {
		if lines[begin] != "```go" {
			continue
		}
		end := begin + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		snippet := codeLines(lines[begin+1 : end])
		found := false
		for _, e := range examples {
			found = found || inOrder(snippet, e)
		}
		if !found {
			out = append(out, Finding{readme.name, begin + 1, "the snippet is in no runnable example: write it there first"})
		}
		begin = end
	}
	return out
}

// codeLines returns the lines that hold code, without what surrounds it.
func codeLines(lines []string) []string {
	var out []string
	for _, l := range lines {
		code, _, _ := strings.Cut(l, " // ")
		code = strings.TrimSpace(strings.TrimPrefix(code, "var "))
		if code != "" && !strings.HasPrefix(code, "//") {
			out = append(out, code)
		}
	}
	return out
}

// inOrder reports whether all lines of part are found in whole, in order.
func inOrder(part, whole []string) bool {
	for _, l := range whole {
		if len(part) > 0 && l == part[0] {
			part = part[1:]
		}
	}
	return len(part) == 0
}

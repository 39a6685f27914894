package pipeline

import (
	"fmt"
	"strings"
)

// Mermaid returns the graph of the definition, which must be valid, as a
// flowchart of Mermaid: an arrow from each step to those that need it, dotted where only a
// reference says so; steps with items stand in boxes with double sides, those with a condition in hexagons.
func (d Definition) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	index := make(map[string]int, len(d.Steps))
	for i, s := range d.Steps {
		index[s.Name] = i
		left, right := "[", "]"
		switch {
		case s.When != "":
			left, right = "{{", "}}"
		case s.ForEach != nil || s.Items != nil:
			left, right = "[[", "]]"
		}
		label := s.Name
		if s.Uses != "" {
			label += "<br/>" + s.Uses
		}
		fmt.Fprintf(&b, "  s%d%s\"%s\"%s\n", i, left, label, right)
	}
	for i, s := range d.Steps {
		named := make(map[string]bool, len(s.Needs))
		for _, need := range s.Needs {
			named[need] = true
		}
		for _, need := range d.wire(i, ignoreFault).needs {
			arrow := "-->"
			if !named[need] {
				arrow = "-.->"
			}
			fmt.Fprintf(&b, "  s%d %s s%d\n", index[need], arrow, i)
		}
	}
	return b.String()
}

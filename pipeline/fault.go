package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a definition.
type Fault struct {
	// File is the name that Parse was given; empty for a definition made in Go.
	File string `json:"file,omitempty"`
	// Line and Column count from 1, the column in characters. Zero for a
	// definition made in Go.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the place in the definition, such as steps[2](train).needs.
	Path string `json:"path,omitempty"`
	// Message is what is wrong.
	Message string `json:"message"`
}

// String returns "file:line:column: path: message", without the parts that are
// not known.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	return b.String() + f.Message
}

// FaultsError is all that is wrong with a definition, in the order of the file.
type FaultsError []Fault

// Error returns one line for each fault.
func (f FaultsError) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults by their place, each once.
func (f FaultsError) sorted() FaultsError {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(f)
}

func (f FaultsError) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// place is where in a definition something stands.
type place struct {
	key   string // steps[2].needs: by which its position in the file is known
	shown string // steps[2](train).needs: for people
	text  string // within what stands there, if not empty: this text,
	after int    // and so many bytes after its beginning
}

// keyOf marks the key of a place, whose own position is that of its value.
const keyOf = "\x00key"

// atKey is the key, where p is its value.
func (p place) atKey() place {
	p.key += keyOf
	return p
}

// in is a byte of a text within what stands there.
func (p place) in(text string, after int) place {
	p.text, p.after = text, after
	return p
}

func (p place) dot(name string) place {
	if p.key == "" {
		return place{key: name, shown: name}
	}
	return place{key: p.key + "." + name, shown: p.shown + "." + name}
}

func (p place) at(i int) place {
	s := fmt.Sprintf("[%d]", i)
	return place{key: p.key + s, shown: p.shown + s}
}

// named shows the name of what stands there, unless it is empty.
func (p place) named(name string) place {
	if name != "" {
		p.shown += "(" + short(name) + ")"
	}
	return p
}

// short bounds a text that comes from a file.
func short(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// faultFunc takes a fault.
type faultFunc func(at place, format string, args ...any)

// didYouMean returns a question about the one of known that name looks like,
// or what is known, if that is little.
func didYouMean(name string, known []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k), least); d < least {
			best, least = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) > 0 && len(known) <= 16:
		if list := strings.Join(known, ", "); len(list) <= 100 {
			return "; want one of " + list
		}
	}
	return ""
}

// distance is the Damerau–Levenshtein distance of a and b (restricted: no part
// is edited twice), or something that is at least most.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d >= most || -d >= most || len(a) > 200 {
		return most
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

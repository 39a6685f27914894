package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Source is where a value comes from.
type Source struct {
	// Kind is default, file, env or flag.
	Kind string
	// Name is that of the file, the variable or the flag.
	Name         string
	Line, Column int // in the file
}

// String returns the source as people write it: "perdure.yaml:3:9",
// "$PERDURE_LISTEN", "--listen", "default".
func (s Source) String() string {
	switch s.Kind {
	case "file":
		if s.Line == 0 {
			return s.Name
		}
		return fmt.Sprintf("%s:%d:%d", s.Name, s.Line, max(1, s.Column))
	case "env":
		return "$" + s.Name
	case "flag":
		return "--" + s.Name
	}
	return "default"
}

// Fault is one thing that is wrong, where, and what to do about it.
type Fault struct {
	Source Source
	Path   string // of the value, as managers[0].policy.backoff.max; empty: the file as a whole
	Text   string
	Try    string
}

// String returns the fault in one line, without what to try.
func (f Fault) String() string {
	s := f.Source.String() + ": "
	if f.Path != "" {
		s += f.Path + ": "
	}
	return s + f.Text
}

// Faults are all that is wrong with a configuration.
type Faults []Fault //nolint:errname // it reads as what it is

// Error returns each fault on a line, with what to try on the next one.
func (f Faults) Error() string {
	var b strings.Builder
	for i, fault := range f {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(fault.String())
		if fault.Try != "" {
			b.WriteString("\n  Try: " + fault.Try)
		}
	}
	return b.String()
}

// sorted returns the faults in the order of the file, those from elsewhere
// last; nil if there are none.
func (f Faults) sorted() error {
	if len(f) == 0 {
		return nil
	}
	rank := map[string]int{"file": 0, "env": 1, "flag": 2}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(rank[a.Source.Kind], rank[b.Source.Kind]),
			cmp.Compare(a.Source.Line, b.Source.Line), cmp.Compare(a.Source.Column, b.Source.Column))
	})
	return f
}

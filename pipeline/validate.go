package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const maxName = 100

// Validate checks the whole definition and returns all faults joined, each
// with its path, or nil.
func (d Definition) Validate() error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
	}
	if why := badName(d.Name); why != "" {
		fault("name", "%s", why)
	}
	if d.Parallel < 0 {
		fault("parallel", "%d is negative", d.Parallel)
	}
	if len(d.Steps) == 0 {
		fault("steps", "there is none")
	}
	first := make(map[string]int, len(d.Steps))
	for i, s := range d.Steps {
		path := stepPath(i, s.Name)
		if why := badName(s.Name); why != "" {
			fault(path+".name", "%s", why)
		}
		if j, taken := first[s.Name]; taken {
			fault(path+".name", "steps[%d] has it already", j)
		} else {
			first[s.Name] = i
		}
		s.validate(path, fault)
	}
	for i, s := range d.Steps {
		path := stepPath(i, s.Name) + ".needs"
		for j, need := range s.Needs {
			if _, known := first[need]; !known {
				fault(path, "no step is named %q", need)
			}
			if slices.Contains(s.Needs[:j], need) {
				fault(path, "%q is named twice", need)
			}
		}
	}
	for _, c := range d.cycles(first) {
		fault("steps", "cycle: %s", strings.Join(c, " → "))
	}
	return errors.Join(faults...)
}

func (s Step) validate(path string, fault func(path, format string, args ...any)) {
	if s.Do == nil {
		fault(path+".do", "no function")
	}
	if len(s.With) > MaxOutput {
		fault(path+".with", "%d bytes are more than %d", len(s.With), MaxOutput)
	}
	if s.Parallel < 0 {
		fault(path+".parallel", "%d is negative", s.Parallel)
	}
	if s.Parallel > 0 && s.Items == nil {
		fault(path+".parallel", "the step has no items")
	}
	if s.Attempts < 0 {
		fault(path+".attempts", "%d is negative", s.Attempts)
	}
	if s.Delay < 0 {
		fault(path+".delay", "%v is negative", s.Delay)
	}
	if s.Timeout < 0 {
		fault(path+".timeout", "%v is negative", s.Timeout)
	}
}

func stepPath(i int, name string) string {
	if name == "" {
		return fmt.Sprintf("steps[%d]", i)
	}
	return fmt.Sprintf("steps[%d](%s)", i, name)
}

// badName says what is wrong with a name that becomes part of a key, or "".
func badName(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > maxName:
		return fmt.Sprintf("%d bytes are more than %d", len(name), maxName)
	}
	for _, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
		if !ok {
			return fmt.Sprintf("%q has characters other than A-Z a-z 0-9 . _ -", name)
		}
	}
	return ""
}

// cycles returns one path for each back edge of a depth-first walk: a → b → a.
func (d Definition) cycles(index map[string]int) [][]string {
	const (
		unseen = iota
		open
		done
	)
	var (
		found [][]string
		path  []string
		mark  = make([]int, len(d.Steps))
		visit func(i int)
	)
	visit = func(i int) {
		mark[i] = open
		path = append(path, d.Steps[i].Name)
		for _, need := range d.Steps[i].Needs {
			j, known := index[need]
			if !known {
				continue
			}
			switch mark[j] {
			case unseen:
				visit(j)
			case open:
				start := slices.Index(path, need)
				found = append(found, append(slices.Clone(path[start:]), need))
			}
		}
		path = path[:len(path)-1]
		mark[i] = done
	}
	for i := range d.Steps {
		if mark[i] == unseen && index[d.Steps[i].Name] == i {
			visit(i)
		}
	}
	return found
}

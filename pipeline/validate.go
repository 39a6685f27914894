package pipeline

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/perdure/perdure"
)

const (
	maxName  = 100
	maxSteps = 10_000
)

// Validate checks the whole definition and returns all faults joined, each
// with its path, as [FaultsError], or nil.
func (d Definition) Validate() error { return d.Check(nil) }

// Check is Validate that also wants each step to use one of these methods, and
// no reference where a method takes a text as it is written. Nil means any methods.
func (d Definition) Check(methods []Method) error {
	var faults FaultsError
	d.validate(methods, func(at place, format string, args ...any) {
		faults = append(faults, Fault{Path: at.shown, Message: sprintf(format, args...)})
	})
	return faults.orNil()
}

func (d Definition) validate(methods []Method, fault faultFunc) {
	root := place{}
	if why := badName(d.Name); why != "" {
		fault(root.dot("name"), "%s", why)
	}
	if d.Parallel < 0 {
		fault(root.dot("parallel"), "%d is negative", d.Parallel)
	}
	d.validateParams(fault)
	d.validateSecrets(fault)
	d.validateKey(fault)
	if len(d.Steps) == 0 {
		fault(root.dot("steps"), "there is none")
	}
	if len(d.Steps) > maxSteps {
		fault(root.dot("steps"), "%d are more than %d", len(d.Steps), maxSteps)
		return
	}
	first := make(map[string]int, len(d.Steps))
	for i, s := range d.Steps {
		at := d.stepPlace(i)
		if why := badName(s.Name); why != "" {
			fault(at.dot("name"), "%s", why)
		}
		if j, taken := first[s.Name]; taken {
			fault(at.dot("name"), "steps[%d] has it already", j)
		} else {
			first[s.Name] = i
		}
		s.validate(at, methods, fault)
	}
	w := make([]wiring, len(d.Steps))
	for i, s := range d.Steps {
		at := d.stepPlace(i)
		for j, need := range s.Needs {
			if _, known := first[need]; !known {
				fault(at.dot("needs").at(j), "no step is named %q%s", short(need), didYouMean(need, d.stepNames()))
			}
			if slices.Contains(s.Needs[:j], need) {
				fault(at.dot("needs").at(j), "%q is named twice", short(need))
			}
		}
		w[i] = d.wire(i, fault)
	}
	for _, c := range cycles(d.Steps, w, first) {
		fault(d.stepPlace(c.step).dot(c.field()), "cycle: %s", strings.Join(c.path, " → "))
	}
}

func (d Definition) stepPlace(i int) place { return place{}.dot("steps").at(i).named(d.Steps[i].Name) }

func (d Definition) stepNames() []string {
	names := make([]string, 0, len(d.Steps))
	for _, s := range d.Steps {
		names = append(names, s.Name)
	}
	return names
}

func (s Step) validate(at place, methods []Method, fault faultFunc) {
	switch {
	case s.Do == nil && s.Uses == "":
		fault(at.dot("uses"), "missing; want COMPONENT.METHOD, such as sql.exec")
	case s.Do == nil:
		s.validateUses(at, methods, fault)
	}
	if len(s.With) > MaxOutput {
		fault(at.dot("with"), "%d bytes are more than %d", len(s.With), MaxOutput)
	} else if len(s.With) > 0 && !json.Valid(s.With) {
		fault(at.dot("with"), "is not JSON")
	}
	if s.Items != nil && s.ForEach != nil {
		fault(at.dot("foreach"), "the step has a function for its items too")
	}
	if s.Parallel < 0 {
		fault(at.dot("parallel"), "%d is negative", s.Parallel)
	}
	if s.Parallel > 0 && s.Items == nil && s.ForEach == nil {
		fault(at.dot("parallel"), "the step has no items")
	}
	if s.Attempts < 0 {
		fault(at.dot("attempts"), "%d is negative", s.Attempts)
	}
	if s.Delay < 0 {
		fault(at.dot("delay"), "%v is negative", s.Delay)
	}
	if s.Timeout < 0 {
		fault(at.dot("timeout"), "%v is negative", s.Timeout)
	}
	if s.Policy != nil {
		for _, err := range policyFaults(*s.Policy) {
			at, text := at.dot("retry"), err.Error()
			if path, why, ok := strings.Cut(text, ": "); ok {
				for name := range strings.SplitSeq(path, ".") {
					at = at.dot(name)
				}
				text = why
			}
			fault(at, "%s", text)
		}
	}
	if s.ForEach != nil {
		s.validateForEach(at.dot("foreach"), fault)
	}
}

func policyFaults(p perdure.Policy) []error {
	err := p.Validate()
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // one fault each
		return joined.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

func (s Step) validateForEach(at place, fault faultFunc) {
	v, err := decodeJSON(s.ForEach)
	if err != nil {
		fault(at, "is not JSON")
		return
	}
	switch v := v.(type) {
	case string:
		if _, err := parts(v); err != nil {
			return // the wiring says it
		}
		if !whole(v) {
			fault(at, "%q is a text, want a list or one reference to a list", short(v))
		}
	case []any:
		if !strings.Contains(string(s.ForEach), "${") {
			if _, err := itemsOf(s.ForEach); err != nil {
				fault(at, "%v", err)
			}
		}
	default:
		fault(at, "is %s, want a list or one reference to a list", kindOf(s.ForEach))
	}
}

// badName says what is wrong with a name that becomes part of a key, or "".
func badName(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > maxName:
		return sprintf("%d bytes are more than %d", len(name), maxName)
	}
	for _, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
		if !ok {
			return sprintf("%q has characters other than A-Z a-z 0-9 . _ -", name)
		}
	}
	return ""
}

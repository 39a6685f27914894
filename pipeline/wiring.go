package pipeline

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// wiring is what the texts of a step say about the others.
type wiring struct {
	needs []string // named and implied, each once
	reads []string // steps whose outputs With refers to
	cond  *condition
	refs  map[string]string // of an implied need: the field that implies it
}

func (w *wiring) imply(step, field string) {
	if _, known := w.refs[step]; known {
		return
	}
	w.refs[step] = field
	if !slices.Contains(w.needs, step) {
		w.needs = append(w.needs, step)
	}
}

// wire reads the texts of a step. What is wrong with them goes to fault.
func (d Definition) wire(i int, fault faultFunc) wiring {
	s, at := d.Steps[i], d.stepPlace(i)
	w := wiring{needs: slices.Clone(s.Needs), refs: make(map[string]string)}
	if s.Do == nil {
		d.wireTexts(s.With, at.dot("with"), fault, func(r *reference, at place) {
			switch {
			case r.root == rootItem && s.ForEach == nil && s.Items == nil:
				fault(at, "${%s}: the step has no foreach", r.text)
			case r.root == rootSteps:
				w.imply(r.name, "with")
				if !slices.Contains(w.reads, r.name) {
					w.reads = append(w.reads, r.name)
				}
			}
		})
	}
	d.wireTexts(s.ForEach, at.dot("foreach"), fault, func(r *reference, at place) {
		switch r.root {
		case rootItem, rootSecrets:
			fault(at, "${%s} cannot be used here", r.text)
		case rootSteps:
			w.imply(r.name, "foreach")
		case rootParams:
			if p, ok := d.param(r.name); ok && len(r.path) == 0 && p.Type != ParamList && p.Type != paramAny && isText(s.ForEach) {
				fault(at, "${%s} is %s, want a list", r.text, p.Type.orString())
			}
		}
	})
	if s.When != "" {
		w.cond = d.wireWhen(s.When, at.dot("when"), fault, &w)
	}
	return w
}

func isText(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

// wireTexts calls take for each reference to something that is there.
func (d Definition) wireTexts(raw json.RawMessage, at place, fault faultFunc, take func(r *reference, at place)) {
	if len(raw) == 0 || !strings.Contains(string(raw), "${") {
		return
	}
	err := eachText(raw, func(path, text string) {
		at := place{key: at.key + path, shown: at.shown + path}
		for _, p := range split(text) {
			if p.err != nil {
				fault(at.in(p.text, 0), "%v", p.err)
			}
			if p.ref == nil {
				continue
			}
			here := at.in("${"+p.ref.text+"}", 0)
			if d.known(p.ref.root, p.ref.name, here, "${"+p.ref.text+"}", fault) {
				take(p.ref, here)
			}
		}
	})
	if err != nil {
		return // that it is no JSON is said elsewhere
	}
}

// known reports whether there is what a reference names.
func (d Definition) known(root, name string, at place, text string, fault faultFunc) bool {
	var what string
	var names []string
	switch root {
	case rootParams:
		if _, ok := d.param(name); ok {
			return true
		}
		what = "parameter"
		for _, p := range d.Params {
			names = append(names, p.Name)
		}
	case rootSecrets:
		if slices.ContainsFunc(d.Secrets, func(s Secret) bool { return s.Name == name }) {
			return true
		}
		what = "secret"
		for _, s := range d.Secrets {
			names = append(names, s.Name)
		}
	case rootSteps:
		if slices.ContainsFunc(d.Steps, func(s Step) bool { return s.Name == name }) {
			return true
		}
		what, names = "step", d.stepNames()
	default:
		return true
	}
	fault(at, "%s: there is no %s %q%s", text, what, short(name), didYouMean(name, names))
	return false
}

func (d Definition) param(name string) (Param, bool) {
	i := slices.IndexFunc(d.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return Param{}, false
	}
	return d.Params[i], true
}

func (d Definition) wireWhen(source string, at place, fault faultFunc, w *wiring) *condition {
	cond, err := compileCondition(source)
	for _, f := range conditionFaults(err) {
		fault(at.in(source, byteAt(source, f.at)), "%s", f.why)
	}
	if cond == nil {
		return nil
	}
	for _, ref := range cond.refs {
		here := at.in(source, byteAt(source, ref.at))
		if d.known(ref.root, ref.name, here, ref.root+"."+ref.name, fault) && ref.root == rootSteps {
			w.imply(ref.name, "when")
		}
	}
	return cond
}

func conditionFaults(err error) []conditionError {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[conditionError](err); ok {
		if joined, many := err.(interface{ Unwrap() []error }); many { // one fault each
			var out []conditionError
			for _, e := range joined.Unwrap() {
				out = append(out, conditionFaults(e)...)
			}
			return out
		}
		return []conditionError{f}
	}
	return []conditionError{{0, err.Error()}}
}

// byteAt returns where the n-th character of s begins.
func byteAt(s string, n int) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}

// cycle is a way from a step back to itself.
type cycle struct {
	path []string
	step int    // that needs the first of the path again
	by   string // the field whose reference implies that need; empty: needs
}

func (c cycle) field() string {
	if c.by != "" {
		return c.by
	}
	return "needs"
}

// cycles returns one path for each back edge of a depth-first walk: a → b → a.
func cycles(steps []Step, w []wiring, index map[string]int) []cycle {
	const (
		unseen = iota
		open
		done
	)
	type frame struct{ step, next int }
	var (
		found []cycle
		path  []string
		stack []frame // its own, since ten thousand steps may be one chain
		mark  = make([]int, len(steps))
	)
	push := func(i int) {
		mark[i] = open
		path = append(path, steps[i].Name)
		stack = append(stack, frame{step: i})
	}
	for i := range steps {
		if mark[i] != unseen || index[steps[i].Name] != i {
			continue
		}
		push(i)
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.next == len(w[f.step].needs) {
				mark[f.step] = done
				stack, path = stack[:len(stack)-1], path[:len(path)-1]
				continue
			}
			need := w[f.step].needs[f.next]
			f.next++
			j, known := index[need]
			switch {
			case !known:
			case mark[j] == unseen:
				push(j)
			case mark[j] == open:
				start := slices.Index(path, need)
				c := cycle{path: append(slices.Clone(path[start:]), need), step: f.step}
				if !slices.Contains(steps[f.step].Needs, need) {
					c.by = w[f.step].refs[need]
				}
				found = append(found, c)
			}
		}
	}
	return found
}

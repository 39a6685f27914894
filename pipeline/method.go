package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Method is what can be known of a component's method before it is invoked.
type Method struct {
	// Uses is "component.method".
	Uses string
	// Literal names the fields of the input in which no reference may stand:
	// SQL is never put together from values.
	Literal []string
	// Input is the JSON schema of the input. Nil means that nothing is known.
	Input json.RawMessage
}

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// cutUses splits "component.method" at its last dot.
func cutUses(uses string) (component, method string, ok bool) {
	i := strings.LastIndexByte(uses, '.')
	if i <= 0 || i == len(uses)-1 {
		return "", "", false
	}
	return uses[:i], uses[i+1:], true
}

func (s Step) validateUses(at place, methods []Method, fault faultFunc) {
	at = at.dot("uses")
	component, method, ok := cutUses(s.Uses)
	if !ok || badName(component) != "" || badName(method) != "" {
		fault(at, "%q is no COMPONENT.METHOD, such as sql.exec", short(s.Uses))
		return
	}
	if methods == nil {
		return
	}
	i := slices.IndexFunc(methods, func(m Method) bool { return m.Uses == s.Uses })
	if i < 0 {
		known := make([]string, 0, len(methods))
		for _, m := range methods {
			known = append(known, m.Uses)
		}
		fault(at, "there is no method %q%s", short(s.Uses), didYouMean(s.Uses, known))
		return
	}
	at.key, at.shown = strings.TrimSuffix(at.key, "uses")+"with", strings.TrimSuffix(at.shown, "uses")+"with"
	methods[i].check(s.With, at, fault)
}

// check finds what is wrong with an input whose references are not yet known.
func (m Method) check(with json.RawMessage, at place, fault faultFunc) {
	if len(with) == 0 {
		with = json.RawMessage("{}")
	}
	v, err := decodeJSON(with)
	if err != nil {
		return // it is said elsewhere
	}
	if object, ok := v.(map[string]any); ok {
		for _, field := range m.Literal {
			if text, ok := object[field].(string); ok && hasReference(text) {
				fault(at.dot(field), "no reference may stand here: it is never pasted together; bind values as parameters")
			}
		}
	}
	if m.Input == nil {
		return
	}
	var s shape
	if err := json.Unmarshal(m.Input, &s); err != nil {
		fault(at, "the schema of %s: %v", m.Uses, err)
		return
	}
	s.check(v, at, fault)
}

func hasReference(text string) bool {
	list, err := parts(text)
	return err != nil || slices.ContainsFunc(list, func(p part) bool { return p.ref != nil })
}

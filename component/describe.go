package component

import (
	"encoding/json"
	"slices"
	"strings"
)

// Description is what can be known of a component without starting it.
type Description struct {
	Name    string              `json:"name"`
	Factory string              `json:"factory"`
	Doc     string              `json:"doc,omitempty"`
	Needs   []string            `json:"needs,omitempty"`
	Config  json.RawMessage     `json:"config,omitempty"` // the JSON schema of its configuration; nil if it takes none
	Methods []MethodDescription `json:"methods,omitempty"`
}

// MethodDescription is what can be known of a method without invoking it.
type MethodDescription struct {
	Name       string          `json:"name"`
	Doc        string          `json:"doc,omitempty"`
	Idempotent bool            `json:"idempotent,omitempty"`
	Input      json.RawMessage `json:"input"`  // JSON schema
	Output     json.RawMessage `json:"output"` // JSON schema
}

// Describe returns all components by name, for people and for tools. What it
// returns must not be changed.
func (l *Loader) Describe() []Description {
	var all []Description
	for _, u := range l.units {
		d := Description{Name: u.name, Factory: u.factory.Name, Doc: u.factory.Doc, Needs: slices.Clone(u.needs)}
		if c := u.factory.Maker.config; c != nil {
			d.Config = c.schema
		}
		for i := range u.factory.Methods {
			m := &u.factory.Methods[i]
			d.Methods = append(d.Methods, MethodDescription{
				Name: m.name, Doc: m.options.Doc, Idempotent: m.options.Idempotent, Input: m.in.schema, Output: m.out.schema,
			})
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Description) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// CheckInput returns the faults of an input for a method without invoking it,
// each with its path, or nil: for whoever has the input long before the
// component runs. The component need not run.
func (l *Loader) CheckInput(component, method string, in json.RawMessage) error {
	_, m, err := l.find(component, method)
	if err != nil {
		return err
	}
	return m.in.check(in, l.cfg.MaxDepth)
}

package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// shape is the part of a JSON schema that a step's input is held to before its
// references are known: types, keys, and which keys must be there. The
// component checks the rest when it is invoked.
type shape struct {
	Type       shapeTypes       `json:"type"`
	Properties map[string]shape `json:"properties"`
	Required   []string         `json:"required"`
	Additional json.RawMessage  `json:"additionalProperties"`
	Items      *shape           `json:"items"`
	Enum       []any            `json:"enum"`
}

// shapeTypes is a type or a list of them. Empty means any.
type shapeTypes []string

// UnmarshalJSON takes a string or a list of strings.
func (t *shapeTypes) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(t))
	}
	var one string
	err := json.Unmarshal(raw, &one)
	*t = shapeTypes{one}
	return err
}

// open reports whether keys are allowed that have no shape.
func (s shape) open() bool {
	return s.Properties == nil || len(s.Additional) > 0 && string(s.Additional) != "false" && string(s.Additional) != `{"not":{}}`
}

func (s shape) check(v any, at place, fault faultFunc) {
	if text, ok := v.(string); ok && hasReference(text) {
		if whole(text) || len(s.Type) == 0 || slices.Contains(s.Type, "string") {
			return // what it will be is not known
		}
	}
	if kind := typeOf(v); len(s.Type) > 0 && !slices.Contains(s.Type, kind) && (kind != "integer" || !slices.Contains(s.Type, "number")) {
		fault(at, "is %s, want %s", kind, strings.Join(s.Type, " or "))
		return
	}
	switch v := v.(type) {
	case string:
		s.checkEnum(v, at, fault)
	case []any:
		if s.Items != nil {
			for i := range v {
				s.Items.check(v[i], at.at(i), fault)
			}
		}
	case map[string]any:
		s.checkKeys(v, at, fault)
	}
}

func (s shape) checkEnum(v string, at place, fault faultFunc) {
	if len(s.Enum) == 0 || slices.Contains(s.Enum, any(v)) {
		return
	}
	var words []string
	for _, e := range s.Enum {
		if w, ok := e.(string); ok {
			words = append(words, w)
		}
	}
	fault(at, "%q is not allowed%s", short(v), didYouMean(v, words))
}

func (s shape) checkKeys(v map[string]any, at place, fault faultFunc) {
	known := slices.Sorted(maps.Keys(s.Properties))
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if p, ok := s.Properties[k]; ok {
			p.check(v[k], at.dot(k), fault)
		} else if !s.open() {
			fault(at.dot(k).atKey(), "unknown key%s", didYouMean(k, known))
		}
	}
	for _, k := range s.Required {
		if _, ok := v[k]; !ok {
			fault(at, "%q is missing", k)
		}
	}
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			return "integer"
		}
	}
	return "number"
}

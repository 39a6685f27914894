package component

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// types is a set of the types of JSON.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeObject
	typeArray
	typeNumber
	typeString
	typeInteger // a number without fraction and exponent
	anyType     = typeNull | typeBoolean | typeObject | typeArray | typeNumber | typeString
)

var typeNames = [...]string{"null", "boolean", "object", "array", "number", "string", "integer"}

// String returns the types as an error names them: "integer or null".
func (t types) String() string {
	var names []string
	for i, name := range typeNames {
		if t&(1<<i) != 0 && name != "null" {
			names = append(names, name)
		}
	}
	if t&typeNull != 0 {
		names = append(names, "null")
	}
	return strings.Join(names, " or ")
}

// has reports whether a value of the one type got is of the types t.
func (t types) has(got types) bool {
	return t&got != 0 || got == typeInteger && t&typeNumber != 0
}

// UnmarshalJSON reads the keyword type.
func (t *types) UnmarshalJSON(b []byte) error {
	var names []string
	if bytes.HasPrefix(b, []byte(`"`)) {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	for _, name := range names {
		i := slices.Index(typeNames[:], name)
		if i < 0 {
			return fmt.Errorf("there is no type %q", name)
		}
		*t |= 1 << i
	}
	return nil
}

// node is a JSON schema as it is checked.
type node struct {
	types types
	never bool // nothing fits, the schema false
	keywords
	names   []string // of the properties, sorted
	pattern *regexp.Regexp
}

// keywords are those that can be checked and those that assert nothing.
type keywords struct {
	Schema          string            `json:"$schema"`
	Comment         string            `json:"$comment"`
	Title           string            `json:"title"`
	Description     string            `json:"description"`
	Format          string            `json:"format"`
	ContentEncoding string            `json:"contentEncoding"`
	Default         json.RawMessage   `json:"default"`
	Examples        []json.RawMessage `json:"examples"`

	Type                 types             `json:"type"`
	Properties           map[string]*node  `json:"properties"`
	Required             []string          `json:"required"`
	AdditionalProperties *node             `json:"additionalProperties"`
	MinProperties        *int              `json:"minProperties"`
	MaxProperties        *int              `json:"maxProperties"`
	Items                *node             `json:"items"`
	MinItems             *int              `json:"minItems"`
	MaxItems             *int              `json:"maxItems"`
	Enum                 []json.RawMessage `json:"enum"`
	Const                json.RawMessage   `json:"const"`
	Minimum              *float64          `json:"minimum"`
	Maximum              *float64          `json:"maximum"`
	ExclusiveMinimum     *float64          `json:"exclusiveMinimum"`
	ExclusiveMaximum     *float64          `json:"exclusiveMaximum"`
	MinLength            *int              `json:"minLength"`
	MaxLength            *int              `json:"maxLength"`
	Pattern              string            `json:"pattern"`
}

// UnmarshalJSON reads a schema, and refuses a keyword that would not be checked.
func (n *node) UnmarshalJSON(b []byte) error {
	switch string(bytes.TrimSpace(b)) {
	case "true":
		n.types = anyType
		return nil
	case "false":
		n.never = true
		return nil
	}
	if err := strict(b, &n.keywords); err != nil {
		return err
	}
	if n.types = n.Type; n.types == 0 {
		n.types = anyType
	}
	if n.Const != nil {
		n.Enum = append(n.Enum, n.Const)
	}
	for i, e := range n.Enum {
		var compact bytes.Buffer
		if err := json.Compact(&compact, e); err != nil {
			return err
		}
		if n.Enum[i] = compact.Bytes(); strings.ContainsAny(string(n.Enum[i][:1]), "[{") {
			return fmt.Errorf("enum: %d is not a string, number, boolean or null", i)
		}
	}
	n.names = slices.Sorted(maps.Keys(n.Properties))
	if n.Pattern == "" {
		return nil
	}
	var err error
	n.pattern, err = regexp.Compile(n.Pattern)
	return err
}

// property returns the schema of a property; nil if there can be none.
func (n *node) property(name string) *node {
	if p := n.Properties[name]; p != nil {
		return p
	}
	switch {
	case n.AdditionalProperties == nil:
		return free
	case n.AdditionalProperties.never:
		return nil
	}
	return n.AdditionalProperties
}

// item returns the schema of the items.
func (n *node) item() *node {
	if n.Items == nil {
		return free
	}
	return n.Items
}

// free is the schema that everything fits. It is never changed.
var free = &node{types: anyType}

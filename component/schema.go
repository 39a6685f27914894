package component

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schemer is a type with a JSON schema of its own: an enumeration, a string with
// a pattern, a number with bounds. JSONSchema is called on the zero value, once
// for each method that has the type in its input or output. The schema has a type; of
// the keywords that assert something it can use type, properties, required,
// additionalProperties, minProperties, maxProperties, items, minItems, maxItems,
// enum, const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength,
// maxLength and pattern (in Go's syntax).
type Schemer interface {
	JSONSchema() json.RawMessage
}

// schemaVersion is the dialect that published schemas name.
const schemaVersion = "https://json-schema.org/draft/2020-12/schema"

// format is what is known of the JSON of a Go type.
type format struct {
	schema json.RawMessage // as it is published
	root   *node           // as it is checked
}

// formatFor makes the format of T. What is decoded may not hold interfaces.
func formatFor[T any](decoded bool) (*format, error) {
	t := reflect.TypeFor[T]()
	k := kinds{decoded: decoded, schemas: map[reflect.Type]*jsonschema.Schema{}, seen: map[reflect.Type]bool{}}
	k.visit(t, t.String())
	if len(k.faults) > 0 {
		return nil, errors.Join(k.faults...)
	}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: k.schemas})
	if err != nil {
		return nil, err
	}
	nullable(s)
	s.Schema = schemaVersion
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	f := &format{schema: b, root: new(node)}
	if err := json.Unmarshal(b, f.root); err != nil {
		return nil, fmt.Errorf("schema of %v: %w", t, err)
	}
	return f, nil
}

// nullable lets maps be null, as encoding/json has them when they are nil and
// as the library has slices; and it adds null to the enumeration of a type that
// a pointer leads to.
func nullable(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Type == "object" && s.Properties == nil && s.AdditionalProperties != nil && s.AdditionalProperties.Not == nil {
		s.Type, s.Types = "", []string{"null", "object"}
	}
	if slices.Contains(s.Types, "null") {
		if s.Const != nil {
			s.Enum, s.Const = []any{*s.Const}, nil
		}
		if s.Enum != nil && !slices.Contains(s.Enum, nil) {
			s.Enum = append(slices.Clip(s.Enum), nil)
		}
	}
	for _, p := range s.Properties {
		nullable(p)
	}
	nullable(s.Items)
	nullable(s.AdditionalProperties)
}

// kinds walks a type and finds what the library would describe otherwise than
// encoding/json treats it: such types get a schema here, or are refused.
type kinds struct {
	decoded bool
	schemas map[reflect.Type]*jsonschema.Schema
	seen    map[reflect.Type]bool
	faults  []error
}

func (k *kinds) faultf(path, format string, args ...any) {
	k.faults = append(k.faults, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (k *kinds) visit(t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if k.seen[t] {
		return // a type that contains itself is the library's to refuse
	}
	k.seen[t] = true
	if s, err := own(t); err != nil {
		k.faultf(path, "%v", err)
		return
	} else if s != nil {
		k.schemas[t] = s
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		k.fields(t, path)
	case reflect.Slice, reflect.Array:
		k.visit(t.Elem(), path+"[]")
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			k.faultf(path, "the keys of %v are not strings", t)
		}
		k.visit(t.Elem(), path+"{}")
	case reflect.Interface:
		if k.decoded && t.NumMethod() > 0 {
			k.faultf(path, "JSON cannot be decoded into %v", t)
		}
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		k.faultf(path, "a %v is not JSON", t.Kind())
	default:
	}
}

func (k *kinds) fields(t reflect.Type, path string) {
	names := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		at := path + "." + f.Name
		tag, tagged := f.Tag.Lookup("json")
		name, settings, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
		case f.Anonymous && (name != "" || inner.Kind() != reflect.Struct):
			k.faultf(at, "give the embedded field a name of its own")
		case f.Anonymous:
			if s, err := own(inner); s != nil || err != nil {
				k.faultf(at, "give the embedded field a name of its own")
			}
		case !f.IsExported():
			if tagged {
				k.faultf(at, "has a json tag and is not exported")
			}
		default:
			if name == "" {
				name = f.Name
			}
			if names[name] {
				k.faultf(at, "another field is %q too", name)
			}
			names[name] = true
			if strings.Contains(","+settings+",", ",string,") {
				k.faultf(at, "the option string is not supported")
			}
			k.visit(f.Type, at)
		}
	}
}

// own returns the schema of a type that does not have that of its kind, or nil.
func own(t reflect.Type) (*jsonschema.Schema, error) {
	p := reflect.PointerTo(t)
	switch {
	case p.Implements(reflect.TypeFor[Schemer]()):
		if t.Kind() == reflect.Interface {
			return nil, nil
		}
		schemer, _ := reflect.TypeAssert[Schemer](reflect.New(t))
		s := new(jsonschema.Schema)
		if err := json.Unmarshal(schemer.JSONSchema(), s); err != nil {
			return nil, fmt.Errorf("JSONSchema of %v: %w", t, err)
		}
		if s.Type == "" && s.Types == nil {
			return nil, fmt.Errorf("JSONSchema of %v: has no type", t)
		}
		return s, nil
	case t == reflect.TypeFor[json.Number]():
		return &jsonschema.Schema{Type: "number"}, nil
	case t.PkgPath() == "time" && t.Name() == "Time":
		return &jsonschema.Schema{Type: "string", Format: "date-time"}, nil
	case t.PkgPath() == "math/big" && t.Name() == "Int":
		return &jsonschema.Schema{Types: []string{"null", "integer", "string"}}, nil
	case t.Kind() == reflect.Interface:
		return nil, nil
	case p.Implements(reflect.TypeFor[json.Unmarshaler]()), p.Implements(reflect.TypeFor[json.Marshaler]()):
		return anything(), nil
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()), p.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return &jsonschema.Schema{Type: "string"}, nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !reflect.PointerTo(t.Elem()).Implements(reflect.TypeFor[json.Marshaler]()):
		return &jsonschema.Schema{Types: []string{"null", "string"}, ContentEncoding: "base64"}, nil
	}
	return nil, nil
}

// anything is a schema that everything fits. It lists all types, since the
// library makes "null" the only type of a pointer to a type without any.
func anything() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"null", "boolean", "object", "array", "number", "string"}}
}

// strict decodes JSON into v and refuses keys that v does not have.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

package component

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// meter counts down the bytes that a value has as JSON. It never counts more
// than there will be: what types with their own encoding write, and the fields
// of embedded structs, which others may hide, count nothing.
type meter struct {
	left  int // bytes
	depth int // levels of JSON that may still be entered
	hops  int // pointers and interfaces that may still be followed on one way
	deep  bool
	types map[reflect.Type][]measure // structs that have been met
}

// full reports whether nothing has to be counted any more.
func (m *meter) full() bool { return m.left < 0 || m.deep }

func (m *meter) value(v reflect.Value) {
	if m.full() {
		return
	}
	if !v.IsValid() {
		m.left -= len("null")
		return
	}
	if marshals(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		m.left -= len("true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var b [24]byte
		m.left -= len(strconv.AppendInt(b[:0], v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		var b [24]byte
		m.left -= len(strconv.AppendUint(b[:0], v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		var b [32]byte
		digits := len(strconv.AppendFloat(b[:0], v.Float(), 'e', -1, v.Type().Bits())) - len("e+00")
		m.left -= max(digits-1, 1) // 1.5e+01 is written 15
	case reflect.String:
		m.text(v.String())
	case reflect.Pointer, reflect.Interface:
		m.enter(&m.hops, func() { m.value(v.Elem()) })
	case reflect.Slice, reflect.Array:
		m.enter(&m.depth, func() { m.items(v) })
	case reflect.Map:
		m.enter(&m.depth, func() { m.keys(v) })
	case reflect.Struct:
		m.enter(&m.depth, func() { m.fields(v) })
	default: // not JSON, as the encoder will say
	}
}

// marshals reports whether a type writes its own JSON.
func marshals(t reflect.Type) bool {
	switch {
	case t.Kind() == reflect.Interface:
		return false // what it holds is asked
	case t.PkgPath() == "" && t.Kind() != reflect.Pointer && t.Kind() != reflect.Struct:
		return false // string, []int and the like have no methods
	}
	return implements(t) || t.Kind() != reflect.Pointer && implements(reflect.PointerTo(t))
}

func implements(t reflect.Type) bool {
	return t.NumMethod() > 0 &&
		(t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()))
}

// enter calls walk one level deeper.
func (m *meter) enter(level *int, walk func()) {
	if *level == 0 {
		m.deep = true
		return
	}
	*level--
	walk()
	*level++
}

func (m *meter) items(v reflect.Value) {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		m.left -= v.Len()/3*4 + len(`""`)
		return
	}
	m.left -= v.Len() + 1 // brackets and commas
	if scalar(v.Type().Elem()) && v.Len() > 0 && m.left < v.Len() {
		m.left = min(m.left-v.Len(), -1) // each item has a byte at least
	}
	for i := range v.Len() {
		if m.full() {
			return
		}
		m.value(v.Index(i))
	}
}

// scalar reports whether each value of the type has a byte that is counted.
func scalar(t reflect.Type) bool {
	return t.Kind() <= reflect.Float64 && t.Kind() > reflect.Invalid && !marshals(t)
}

func (m *meter) keys(v reflect.Value) {
	m.left -= 2*v.Len() + 1 // braces, commas, colons
	for i := v.MapRange(); i.Next() && !m.full(); {
		if k := i.Key(); k.Kind() == reflect.String && !marshals(k.Type()) {
			m.text(k.String())
		}
		m.value(i.Value())
	}
}

func (m *meter) fields(v reflect.Value) {
	m.left -= len("{}")
	for _, f := range m.known(v.Type()) {
		if m.full() {
			return
		}
		field := v.Field(f.index)
		if f.may && omitted(field) {
			continue
		}
		m.left -= f.name
		m.value(field)
	}
}

// measure is a field that is counted.
type measure struct {
	index int
	name  int  // bytes of its name, quotes and colon
	may   bool // be left out
}

// known returns the fields of a struct that are counted.
func (m *meter) known(t reflect.Type) []measure {
	fields, ok := m.types[t]
	if ok {
		return fields
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() || f.Anonymous {
			continue
		}
		name, settings, _ := strings.Cut(tag, ",")
		fields = append(fields, measure{i, len(or(name, f.Name)) + len(`"":`), strings.Contains(settings, "omit")})
	}
	if m.types == nil {
		m.types = map[reflect.Type][]measure{}
	}
	m.types[t] = fields
	return fields
}

// omitted reports whether omitempty or omitzero may leave out a field.
func omitted(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero() || v.Type().NumMethod() > 0 // it may have IsZero
	}
}

// text counts a string as the encoder writes it without HTML's escapes.
func (m *meter) text(s string) {
	m.left -= len(s) + len(`""`)
	if m.left < 0 {
		return
	}
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			switch {
			case b == '"' || b == '\\':
				m.left--
			case b < ' ':
				m.left -= len(`\n`) - 1
				if b != '\b' && b != '\f' && b != '\n' && b != '\r' && b != '\t' {
					m.left -= len(`\u0000`) - len(`\n`)
				}
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' {
			m.left -= len(`\ufffd`) - n
		}
		i += n
	}
}

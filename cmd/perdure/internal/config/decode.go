package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest file that is read.
const maxFile = 1 << 20

// decoder fills a struct from YAML, and remembers where each value stood.
type decoder struct {
	file   string
	faults Faults
	places map[string]Source
}

// decode reads a file's text into v, a pointer to a struct.
func (d *decoder) decode(text []byte, v any) {
	d.places = map[string]Source{}
	if len(text) > maxFile {
		d.add(nil, "", "give the file that was meant", "the file is larger than %d bytes", maxFile)
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) { // nothing in it: nothing is set
		return
	}
	if err != nil {
		d.syntax(err)
		return
	}
	var more yaml.Node
	switch err := dec.Decode(&more); {
	case err == nil:
		d.add(&more, "", "leave one of them", "a second document begins here")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
		return
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return
	}
	d.value(doc.Content[0], reflect.ValueOf(v).Elem(), "")
}

func (d *decoder) syntax(err error) {
	at := &yaml.Node{Line: 1, Column: 1}
	text := err.Error()
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		at.Line, at.Column, text = max(1, e.Mark.Line), max(1, e.Mark.Column), e.Message
	}
	// The parser may show a piece of the text, which may hold a password.
	text, _, _ = strings.Cut(text, "`")
	d.add(at, "", "indent by spaces, put a blank after each colon, close quotes and brackets; the fault may be in the line before", "this is not YAML: %s", strings.TrimSpace(text))
}

func (d *decoder) add(n *yaml.Node, path, try, format string, args ...any) {
	s := Source{Kind: "file", Name: d.file}
	if n != nil {
		s.Line, s.Column = n.Line, n.Column
	}
	d.faults = append(d.faults, Fault{Source: s, Path: path, Text: fmt.Sprintf(format, args...), Try: try})
}

// value reads one node into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.places[path] = Source{Kind: "file", Name: d.file, Line: n.Line, Column: n.Column}
	switch {
	case n.Kind == yaml.AliasNode:
		d.add(n, path, "write the value out", "aliases (*%s) are not read here", n.Value)
		return
	case n.Anchor != "":
		d.add(n, path, "remove the anchor", "anchors (&%s) are not read here", n.Anchor)
		return
	case n.Tag != "" && !strings.HasPrefix(n.Tag, "!!"), n.Style&yaml.TaggedStyle != 0:
		d.add(n, path, "remove the tag", "tags (%s) are not read here", n.ShortTag())
		return
	case n.Tag == "!!null":
		d.add(n, path, "give it a value, or remove the key: the default then holds", "there is no value")
		return
	}
	if _, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok || v.Type() == durationType {
		d.scalar(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Map:
		d.table(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

// is says what kind of value a node is, for people.
func is(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		return "a mapping"
	}
	if n.Kind == yaml.SequenceNode {
		return "a list"
	}
	switch n.Tag {
	case "!!str":
		return "text"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "a number"
}

// keys calls f for each key of a mapping, doubled ones apart.
func (d *decoder) keys(n *yaml.Node, path string, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.add(n, path, "write it as key: value, indented by two spaces", "this is %s, want a mapping", is(n))
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch first := seen[key.Value]; {
		case key.Tag == "!!merge":
			d.add(key, path, "write the keys out", "merge keys (<<) are not read here")
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			d.add(key, path, "put it in quotes, if it is a name", "a key has to be text")
		case first != nil:
			d.add(key, join(path, key.Value), "remove one of the two", "this key is there already, in line %d", first.Line)
		default:
			seen[key.Value] = key
			f(key, value)
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	d.keys(n, path, func(key, value *yaml.Node) {
		for _, f := range fields {
			if f.name == key.Value {
				d.value(value, v.FieldByIndex(f.index), join(path, f.name))
				return
			}
		}
		var known []string
		for _, f := range fields {
			known = append(known, f.name)
		}
		try := "one of " + strings.Join(known, ", ")
		if near := nearest(key.Value, known); near != "" {
			try = near
		}
		d.add(key, join(path, key.Value), try, "there is no such key")
	})
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	d.keys(n, path, func(key, value *yaml.Node) {
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e, fmt.Sprintf("%s[%q]", path, key.Value))
		v.SetMapIndex(reflect.ValueOf(key.Value), e)
	})
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.add(n, path, "write each element on a line that begins with a dash", "this is %s, want a list", is(n))
		return
	}
	if len(n.Content) == 0 {
		d.add(n, path, "remove the key: the default then holds", "the list is empty")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, e := range n.Content {
		d.value(e, all.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(all)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	wrong := func(want, try string) { d.add(n, path, try, "this is %s, want %s", is(n), want) }
	if strings.Contains(n.Value, "${") && n.Kind == yaml.ScalarNode {
		d.add(n, path, "the value itself, a variable PERDURE_… (docs/configuration.md), or for a URL database_url_file; a dollar in a URL is %24",
			"${…} is not expanded here")
		return
	}
	if v.Type() == durationType {
		t, err := time.ParseDuration(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode:
			wrong("a duration", "a number with a unit, such as 5s or 1m30s")
		case err != nil:
			d.add(n, path, "a number with a unit, such as 5s or 1m30s", "this is not a duration")
		default:
			v.SetInt(int64(t))
		}
		return
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			wrong("text", "a name")
		} else if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			d.add(n, path, "see docs/configuration.md for the names that there are", "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			wrong("text", "put it in quotes, if it is text")
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		var b bool
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&b) != nil {
			wrong("true or false", "true or false, without quotes")
			return
		}
		v.SetBool(b)
	case reflect.Int:
		var i int64
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.Decode(&i) != nil || v.OverflowInt(i) {
			wrong("a whole number", "a whole number without quotes")
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		var f float64
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" || n.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			wrong("a number", "a finite number without quotes")
			return
		}
		v.SetFloat(f)
	default:
		d.add(n, path, "remove it", "a value of this kind cannot be configured")
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// bindings is what the references of a step stand for.
type bindings struct {
	run     string
	params  map[string]json.RawMessage
	outputs map[string]json.RawMessage
	item    json.RawMessage
	// secret reveals a secret. Nil where there are none.
	secret func(name string) (string, error)
}

func (in Input) bindings(run string) (bindings, error) {
	b := bindings{run: run, outputs: in.Outputs, item: in.Item}
	if len(in.Params) > 0 && in.Params[0] == '{' { // what functions are given may be anything
		if err := json.Unmarshal(in.Params, &b.params); err != nil {
			return b, fmt.Errorf("params: %w", err)
		}
	}
	return b, nil
}

// resolve returns raw with its references replaced. A text that is nothing but
// one reference becomes the value itself, of whatever type.
func (b bindings) resolve(raw json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(raw, []byte("${")) {
		return raw, nil
	}
	v, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	if v, err = b.walk(v, ""); err != nil {
		return nil, err
	}
	return marshal(v)
}

func (b bindings) walk(v any, at string) (any, error) {
	switch v := v.(type) {
	case string:
		out, err := b.text(v)
		if err != nil && at != "" {
			err = fmt.Errorf("%s: %w", at, err)
		}
		return out, err
	case []any:
		for i := range v {
			out, err := b.walk(v[i], at+"["+strconv.Itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			v[i] = out
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out, err := b.walk(v[k], strings.TrimPrefix(at+"."+k, "."))
			if err != nil {
				return nil, err
			}
			v[k] = out
		}
	}
	return v, nil
}

func (b bindings) text(s string) (any, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	list, err := parts(s)
	if err != nil {
		return nil, err
	}
	if len(list) == 1 && list[0].ref != nil {
		return b.value(list[0].ref)
	}
	var out strings.Builder
	for _, p := range list {
		if p.ref == nil {
			out.WriteString(p.text)
			continue
		}
		raw, err := b.value(p.ref)
		if err != nil {
			return nil, err
		}
		word, err := wordOf(raw)
		if err != nil {
			return nil, fmt.Errorf("${%s}: %w", p.ref.text, err)
		}
		if out.WriteString(word); out.Len() > MaxOutput {
			return nil, tooLarge(out.Len())
		}
	}
	return out.String(), nil
}

// wordOf returns a scalar as it stands in a text.
func wordOf(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '{', '[', 'n':
		return "", fmt.Errorf("is %s, which cannot stand within a text", kindOf(raw))
	}
	return string(raw), nil
}

// kindOf names the type of a JSON value.
func kindOf(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

// value returns what a reference stands for.
func (b bindings) value(r *reference) (json.RawMessage, error) {
	var raw json.RawMessage
	switch r.root {
	case rootRun:
		return marshal(b.run)
	case rootParams:
		raw = b.params[r.name]
	case rootSteps:
		raw = b.outputs[r.name]
	case rootItem:
		raw = b.item
	case rootSecrets:
		if b.secret == nil {
			return nil, fmt.Errorf("${%s}: a secret can only be used in with", r.text)
		}
		s, err := b.secret(r.name)
		if err != nil {
			return nil, err
		}
		return marshal(s)
	}
	if raw == nil {
		return nil, fmt.Errorf("${%s}: there is none", r.text)
	}
	out, err := dig(raw, r.path)
	if err != nil {
		return nil, fmt.Errorf("${%s}: %w", r.text, err)
	}
	return out, nil
}

// dig follows path into raw.
func dig(raw json.RawMessage, path []string) (json.RawMessage, error) {
	for i, name := range path {
		here := "it"
		if i > 0 {
			here = strings.Join(path[:i], ".")
		}
		switch raw = bytes.TrimSpace(raw); raw[0] {
		case '{':
			var m map[string]json.RawMessage
			if err := json.Unmarshal(raw, &m); err != nil {
				return nil, err
			}
			next, ok := m[name]
			if !ok {
				return nil, fmt.Errorf("%s has no %q%s", here, name, didYouMean(name, slices.Sorted(maps.Keys(m))))
			}
			raw = next
		case '[':
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, err
			}
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(list) {
				return nil, fmt.Errorf("%s is a list of %d, which has no %q", here, len(list), name)
			}
			raw = list[n]
		default:
			return nil, fmt.Errorf("%s is %s, which has no %q", here, kindOf(raw), name)
		}
	}
	return bytes.TrimSpace(raw), nil
}

// decodeJSON decodes one value and keeps its numbers as they are written.
func decodeJSON(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// marshal is json.Marshal that leaves <, > and & alone: they are data here.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// eachText calls fn for every text in raw, with its path: ".rows[2].name".
func eachText(raw json.RawMessage, fn func(path, text string)) error {
	v, err := decodeJSON(raw)
	if err != nil {
		return err
	}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case string:
			fn(at, v)
		case []any:
			for i := range v {
				walk(v[i], at+"["+strconv.Itoa(i)+"]")
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], at+"."+k)
			}
		}
	}
	walk(v, "")
	return nil
}

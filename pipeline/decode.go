package pipeline

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// object returns the values of a mapping by their keys, and remembers where
// they stand. Nil fields means that any keys may be there.
func (d *decoder) object(n *yaml.Node, at place, fields []field, what string) map[string]*yaml.Node {
	d.nodes[at.key] = n
	if d.bad[n] {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.node(n, at, "is "+nameOf(n)+", want "+what)
		return nil
	}
	names := fieldNames(fields)
	values := make(map[string]*yaml.Node, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if d.bad[key] {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
			d.node(key, at, "a key is "+nameOf(key)+", want a word")
			continue
		}
		name := key.Value
		if line, twice := lines[name]; twice {
			d.node(key, at.dot(short(name)), sprintf("the key is in line %d already", line))
			continue
		}
		lines[name] = key.Line
		if fields != nil && !slices.Contains(names, name) {
			d.node(key, at.dot(short(name)), "unknown key"+didYouMean(name, names))
			continue
		}
		values[name] = value
		d.nodes[at.dot(name).key] = value
		d.nodes[at.dot(name).atKey().key] = key
	}
	for _, f := range fields {
		if f.required && lines[f.name] == 0 {
			d.add(n.Line, n.Column, at, sprintf("%q is missing", f.name))
		}
	}
	return values
}

// nameOf names what a node is.
func nameOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default: // a scalar
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	}
	return "a text"
}

// list returns the elements of a sequence.
func (d *decoder) list(n *yaml.Node, at place, what string) []*yaml.Node {
	if n == nil || d.bad[n] {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		d.node(n, at, "is "+nameOf(n)+", want "+what)
		return nil
	}
	for i, c := range n.Content {
		d.nodes[at.at(i).key] = c
	}
	return n.Content
}

// text returns a scalar that must be a text.
func (d *decoder) text(n *yaml.Node, at place) string {
	if n == nil || d.bad[n] {
		return ""
	}
	if n.Kind != yaml.ScalarNode || !isTextNode(n) {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
			hint = sprintf("; write %q", n.Value)
		}
		d.node(n, at, "is "+nameOf(n)+", want a text"+hint)
		return ""
	}
	return n.Value
}

// isTextNode reports whether a scalar is a text. YAML's timestamps are.
func isTextNode(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		return false
	}
	return true
}

// number returns a scalar that must be a whole number of at least 1.
func (d *decoder) number(n *yaml.Node, at place) int {
	if n == nil || d.bad[n] {
		return 0
	}
	i, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
		d.node(n, at, "is "+nameOf(n)+wordNode(n)+", want a whole number")
		return 0
	}
	if i < 1 {
		d.node(n, at, sprintf("%d is less than 1", i))
		return 0
	}
	return i
}

func wordNode(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return ""
	}
	return sprintf(" (%s)", short(n.Value))
}

// duration returns a text such as 10m.
func (d *decoder) duration(n *yaml.Node, at place) time.Duration {
	if n == nil || d.bad[n] {
		return 0
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		d.node(n, at, "is "+nameOf(n)+", want a duration such as 30s, 10m or 1h30m")
		return 0
	}
	v, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		d.node(n, at, sprintf("%q is no duration, want one such as 30s, 10m or 1h30m", short(n.Value)))
	case v < 0:
		d.node(n, at, n.Value+" is negative")
	case v == 0:
		d.node(n, at, n.Value+" is no time; leave it out for the default")
	default:
		return v
	}
	return 0
}

// json returns a node as JSON, with null where it has a fault.
func (d *decoder) json(n *yaml.Node, at place) json.RawMessage {
	raw, err := marshal(d.value(n, at))
	if err != nil {
		d.node(n, at, err.Error())
		return nil
	}
	return raw
}

func (d *decoder) value(n *yaml.Node, at place) any {
	d.nodes[at.key] = n
	if d.bad[n] {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		d.inOrder(n, at, "a mapping", func(name string, n *yaml.Node, at place) { out[name] = d.value(n, at) })
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			out[i] = d.value(c, at.at(i))
		}
		return out
	case yaml.ScalarNode:
		return d.scalar(n, at)
	default:
		d.node(n, at, "is "+nameOf(n)+", which is not read here")
		return nil
	}
}

func (d *decoder) scalar(n *yaml.Node, at place) any {
	fail := func(why string) any {
		d.node(n, at, short(n.Value)+" "+why)
		return nil
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		digits := strings.TrimLeft(n.Value, "+-")
		if len(digits) > 1 && digits[0] == '0' || strings.ContainsRune(digits, '_') {
			return fail("is a number in some versions of YAML and another in others; write it in decimal, or in quotes")
		}
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || i > maxInt || i < -maxInt {
			return fail("is not a whole number of at most 2^53; write it in quotes")
		}
		return i
	case "!!float":
		f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return fail("is not a number that JSON can hold")
		}
		return f
	}
	return n.Value
}

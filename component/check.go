package component

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFaults is how many faults of one input are reported.
const maxFaults = 20

// check returns the faults of raw against the schema, each with the path of the
// place (RFC 6901) and never with what stands there. Beside the schema it wants
// UTF-8, keys that are there once, and at most depth arrays and objects within each other.
func (f *format) check(raw []byte, depth int) error {
	if !utf8.Valid(raw) {
		return errors.New("is not UTF-8")
	}
	if !json.Valid(raw) {
		return syntaxError(raw)
	}
	c := checker{in: raw, left: depth, deepest: depth}
	c.space()
	c.value(f.root)
	if c.more > 0 {
		c.faults = append(c.faults, fmt.Errorf("and %d more", c.more))
	}
	return joinLines(c.faults)
}

// syntaxError says where raw is not JSON.
func syntaxError(raw []byte) error {
	var v json.RawMessage
	err := json.Unmarshal(raw, &v)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		// The library's text may quote a character of the input, which is harmless.
		return fmt.Errorf("is not JSON, byte %d: %w", syntax.Offset, err)
	}
	return fmt.Errorf("is not JSON: %w", err)
}

// checker walks JSON that is known to be valid.
type checker struct {
	in      []byte
	at      int
	path    []segment
	left    int // levels that may still be entered
	deepest int
	ended   bool     // something was too deep
	keys    [][]byte // of the objects around the place; see keySet
	faults  []error
	more    int // faults that are not in faults
}

// segment is a part of a path: a key, or an index if key is nil.
type segment struct {
	key   []byte
	index int
}

func (c *checker) faultf(format string, args ...any) {
	if len(c.faults) == maxFaults {
		c.more++
		return
	}
	c.faults = append(c.faults, fmt.Errorf("%s: %s", pointer(c.path), fmt.Sprintf(format, args...)))
}

// pointer writes a path as a JSON pointer, "/" for the whole. Keys are made
// printable and short: they come from outside.
func pointer(path []segment) string {
	const longest = 64
	if len(path) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, s := range path {
		b.WriteByte('/')
		if s.key == nil {
			b.WriteString(strconv.Itoa(s.index))
			continue
		}
		key := string(s.key)
		if len(key) > longest {
			key = strings.ToValidUTF8(key[:longest], "") + "…"
		}
		key = strconv.QuoteToGraphic(key)
		key = strings.ReplaceAll(key[1:len(key)-1], `\"`, `"`)
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return b.String()
}

func (c *checker) space() {
	for c.at < len(c.in) {
		switch c.in[c.at] {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

// value checks the value that begins here against n; nil only passes over it.
func (c *checker) value(n *node) {
	begin := c.at
	got := c.kind()
	fits := n != nil && n.types.has(got)
	if n != nil && n.never {
		c.faultf("nothing is allowed here")
	} else if n != nil && !fits {
		c.faultf("want %v, got %v", n.types, got)
	}
	if !fits {
		n = nil // what is in it means nothing
	}
	switch got {
	case typeObject:
		c.enter(func() { c.object(n) })
	case typeArray:
		c.enter(func() { c.array(n) })
	case typeString:
		if s := c.text(); n != nil {
			c.checkString(n, s)
		}
	default:
		for c.at < len(c.in) && !strings.ContainsRune(",]} \t\r\n", rune(c.in[c.at])) {
			c.at++
		}
		if raw := c.in[begin:c.at]; n != nil {
			if got == typeNumber || got == typeInteger {
				c.checkNumber(n, raw, got)
			}
			c.checkEnum(n, raw)
		}
	}
}

// kind returns the type of the value that begins here.
func (c *checker) kind() types {
	switch c.in[c.at] {
	case '{':
		return typeObject
	case '[':
		return typeArray
	case '"':
		return typeString
	case 't', 'f':
		return typeBoolean
	case 'n':
		return typeNull
	}
	for _, b := range c.in[c.at:] {
		switch b {
		case '.', 'e', 'E':
			return typeNumber
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return typeInteger
		}
	}
	return typeInteger
}

// enter calls walk one level deeper. What is too deep is a fault, and ends the
// whole walk.
func (c *checker) enter(walk func()) {
	if c.left == 0 {
		c.faultf("nested deeper than %d", c.deepest)
		c.at, c.ended = len(c.in), true
		return
	}
	c.left--
	walk()
	c.left++
}

// unknown is a fault for a key that n does not have. What was meant is searched
// for no more often than it is said: an input may have millions of such keys.
func (c *checker) unknown(key string, n *node) {
	if len(c.faults) == maxFaults {
		c.more++
		return
	}
	c.faultf("unknown key; %s", among(key, n.names))
}

func (c *checker) array(n *node) {
	var item *node
	if n != nil {
		item = n.item()
	}
	count := 0
	c.at++ // the bracket
	c.path = append(c.path, segment{})
	for c.next(']') {
		c.path[len(c.path)-1].index = count
		c.value(item)
		count++
	}
	c.path = c.path[:len(c.path)-1]
	if n != nil && !c.ended {
		c.count("items", count, n.MinItems, n.MaxItems)
	}
}

func (c *checker) object(n *node) {
	seen := keySet{c: c, base: len(c.keys)}
	defer seen.drop()
	c.at++ // the brace
	c.path = append(c.path, segment{})
	for c.next('}') {
		key := c.text()
		c.path[len(c.path)-1].key = key
		c.space()
		c.at++ // the colon
		c.space()
		if !seen.add(key) {
			c.faultf("is there twice")
		}
		var p *node
		if n != nil {
			if p = n.property(string(key)); p == nil {
				c.unknown(string(key), n)
			}
		}
		c.value(p)
	}
	if n != nil && !c.ended {
		for _, name := range n.Required {
			if !seen.has(name) {
				c.path[len(c.path)-1].key = []byte(name)
				c.faultf("is required")
			}
		}
	}
	c.path = c.path[:len(c.path)-1]
	if n != nil && !c.ended {
		c.count("keys", seen.len(), n.MinProperties, n.MaxProperties)
	}
}

// next goes to the next element and reports whether there is one before end,
// which it passes over.
func (c *checker) next(end byte) bool {
	c.space()
	if c.ended {
		return false
	}
	switch c.in[c.at] {
	case end:
		c.at++
		return false
	case ',':
		c.at++
		c.space()
	}
	return true
}

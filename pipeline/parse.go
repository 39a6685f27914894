package pipeline

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// The bounds of a file.
const (
	maxFile  = 1 << 20
	maxNodes = 100_000
	maxDepth = 64
)

// Parse reads a pipeline from YAML. name is that of the file, for faults.
// methods are those that a step can use; nil means that any name will do.
//
// The file is read strictly: unknown and repeated keys, values of another type,
// anchors and aliases, tags, and several documents are faults. Parse finds all faults of a
// file that is YAML at all, and returns them as [FaultsError], each with line and
// column. It reads at most 1 MiB and never panics.
func Parse(name string, src []byte, methods []Method) (Definition, error) {
	d := &decoder{file: name, src: src, nodes: make(map[string]*yaml.Node), bad: make(map[*yaml.Node]bool)}
	var def Definition
	if root := d.load(); root != nil {
		def = d.definition(root)
		if !d.stop {
			def.validate(methods, d.fault)
		}
	}
	if err := d.faults.sorted().orNil(); err != nil {
		return Definition{}, err
	}
	return def, nil
}

// decoder turns nodes of YAML into a Definition, and remembers where each
// stands.
type decoder struct {
	file   string
	src    []byte
	nodes  map[string]*yaml.Node // by the key of their place
	bad    map[*yaml.Node]bool   // of which a fault is known
	count  int
	faults FaultsError
	stop   bool // so much is wrong that the rest would mislead
}

// load returns the root of the file's only document, or nil after a fault.
func (d *decoder) load() *yaml.Node {
	if len(d.src) > maxFile {
		d.add(1, 1, place{}, sprintf("the file has %d bytes, the most is %d", len(d.src), maxFile))
		return nil
	}
	if !d.readable() {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(d.src))
	if err != nil {
		d.add(1, 1, place{}, err.Error())
		return nil
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		d.add(1, 1, place{}, "the file is empty; want at least name and steps")
		return nil
	} else if err != nil {
		d.syntax(err)
		return nil
	}
	root := doc.Content[0]
	var second yaml.Node
	switch err := loader.Load(&second); {
	case err == nil:
		d.add(max(1, second.Line), max(1, second.Column), place{}, "a second document begins; a file has one pipeline")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
		return nil
	}
	if !d.bounded(root, 0) {
		return nil
	}
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		d.add(1, 1, place{}, "the file is empty; want at least name and steps")
		return nil
	}
	return root
}

// readable checks what YAML's own errors say badly: the encoding, control
// characters, and tabs before a line's text.
func (d *decoder) readable() bool {
	if bytes.HasPrefix(d.src, []byte("\xEF\xBB\xBF")) {
		d.src = d.src[3:]
	}
	fine := true
	line, column, indent := 1, 1, true
	for i := 0; i < len(d.src); {
		r, size := utf8.DecodeRune(d.src[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			d.add(line, column, place{}, sprintf("byte 0x%02x is not UTF-8", d.src[i]))
			return false
		case r == '\u0085' || r == '\u2028' || r == '\u2029' || r == '\r' && !bytes.HasPrefix(d.src[i:], []byte("\r\n")):
			d.add(line, column, place{}, sprintf("%U, which ends a line for some readers and not for others", r))
			return false
		case r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7F:
			d.add(line, column, place{}, sprintf("control character %U", r))
			return false
		case r == '\t' && indent:
			d.add(line, column, place{}, "a tab before the text of a line; YAML is indented with spaces")
			fine, indent = false, false
		case r != ' ' && r != '\t':
			indent = false
		}
		i += size
		column++
		if r == '\n' {
			line, column, indent = line+1, 1, true
		}
	}
	return fine
}

func (d *decoder) syntax(err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		d.add(1, 1, place{}, "YAML: "+short(err.Error()))
		return
	}
	text := "YAML: " + short(e.Message)
	if e.ContextMsg != "" {
		text += ", " + short(e.ContextMsg)
		if e.ContextMark.Line > 0 {
			text += sprintf(" (which began in line %d)", e.ContextMark.Line)
		}
	}
	d.add(max(1, e.Mark.Line), max(1, e.Mark.Column), place{}, text)
}

// bounded refuses what makes a file more than it says: anchors, aliases, merge
// keys and tags. It returns false if the file is too large to go on.
func (d *decoder) bounded(n *yaml.Node, depth int) bool {
	if d.count++; d.count > maxNodes {
		d.add(n.Line, n.Column, place{}, sprintf("the file has more than %d values", maxNodes))
		return false
	}
	if depth > maxDepth {
		d.add(n.Line, n.Column, place{}, sprintf("nested deeper than %d", maxDepth))
		return false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.node(n, place{}, "alias *"+short(n.Value)+": aliases are not read here; write it out, or use a parameter")
		return true
	case n.Anchor != "":
		d.add(n.Line, n.Column, place{}, "anchor &"+short(n.Anchor)+": anchors are not read here")
	case n.Style&yaml.TaggedStyle != 0:
		d.node(n, place{}, "tag "+short(n.Tag)+": tags are not read here; quote a text to keep it one")
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Kind == yaml.ScalarNode && c.Value == "<<" && c.Style == 0 {
			d.node(c, place{}, "merge key <<: merges are not read here; write it out")
		}
		if !d.bounded(c, depth+1) {
			return false
		}
	}
	return true
}

// node adds a fault of a node, of which nothing more is said.
func (d *decoder) node(n *yaml.Node, at place, text string) {
	if d.bad[n] {
		return
	}
	d.bad[n] = true
	d.add(n.Line, n.Column, at, text)
}

func (d *decoder) add(line, column int, at place, text string) {
	const most = 1000
	if len(d.faults) < most {
		d.faults = append(d.faults, Fault{File: d.file, Line: line, Column: column, Path: at.shown, Message: text})
	}
}

// fault takes a fault of the definition, and finds where its place is in the
// file: the nearest that stands there.
func (d *decoder) fault(at place, format string, args ...any) {
	n := d.find(at.key)
	if n == nil {
		d.add(1, 1, at, sprintf(format, args...))
		return
	}
	if d.bad[n] {
		return
	}
	line, column := n.Line, n.Column
	if at.text != "" {
		line, column = d.within(n, at)
	}
	d.add(line, column, at, sprintf(format, args...))
}

func (d *decoder) find(key string) *yaml.Node {
	for {
		if n := d.nodes[key]; n != nil {
			return n
		}
		if trimmed, ok := strings.CutSuffix(key, keyOf); ok {
			key = trimmed
			continue
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return d.nodes[""]
		}
		key = key[:i]
	}
}

// within finds a text of a node in the file. Where the file writes it in
// another way, with escapes or over several lines, it is the node's beginning.
func (d *decoder) within(n *yaml.Node, at place) (line, column int) {
	begin := d.offset(n)
	i := bytes.Index(d.src[begin:], []byte(at.text))
	if i < 0 || i > len(n.Value)+1000 {
		return n.Line, n.Column
	}
	upTo := d.src[:min(begin+i+at.after, len(d.src))]
	start := bytes.LastIndexByte(upTo, '\n') + 1
	return 1 + bytes.Count(upTo, []byte("\n")), 1 + utf8.RuneCount(upTo[start:])
}

func (d *decoder) offset(n *yaml.Node) int {
	at := 0
	for line := 1; line < n.Line; line++ {
		i := bytes.IndexByte(d.src[at:], '\n')
		if i < 0 {
			return at
		}
		at += i + 1
	}
	for column := 1; column < n.Column && at < len(d.src); column++ {
		_, size := utf8.DecodeRune(d.src[at:])
		at += size
	}
	return at
}

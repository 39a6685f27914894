package pipeline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The roots of references.
const (
	rootParams  = "params"
	rootSteps   = "steps"
	rootItem    = "item"
	rootRun     = "run"
	rootSecrets = "secrets"
)

// reference is one ${…}: what it speaks of, and the way into that.
type reference struct {
	root string
	name string // of the parameter, the step or the secret
	path []string
	text string // as it was written, without ${}
}

// part is a piece of a text: words, a reference, or what is none.
type part struct {
	text string
	ref  *reference
	err  error // then text is what was meant to be a reference
}

// parts splits a text at its references. "$${" stands for "${". The error is
// that of the first part which is wrong; all parts are returned all the same.
func parts(s string) ([]part, error) {
	list := split(s)
	for _, p := range list {
		if p.err != nil {
			return list, p.err
		}
	}
	return list, nil
}

func split(s string) []part {
	var out []part
	var words strings.Builder
	flush := func() {
		if words.Len() > 0 {
			out = append(out, part{text: words.String()})
			words.Reset()
		}
	}
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			words.WriteString(s)
			flush()
			return out
		}
		if i > 0 && s[i-1] == '$' {
			words.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		words.WriteString(s[:i])
		flush()
		end := strings.IndexByte(s[i:], '}')
		if next := strings.Index(s[i+2:], "${"); end < 0 || next >= 0 && next+2 < end {
			end = len(s) - i
			if next >= 0 {
				end = next + 2
			}
			out = append(out, part{text: s[i : i+end], err: fmt.Errorf("%q is never closed; for the characters themselves write $${", short(s[i:i+end]))})
			s = s[i+end:]
			continue
		}
		if ref, err := parseReference(s[i+2 : i+end]); err != nil {
			out = append(out, part{text: s[i : i+end+1], err: err})
		} else {
			out = append(out, part{ref: &ref})
		}
		s = s[i+end+1:]
	}
}

// whole reports whether the text is one reference, and nothing else.
func whole(s string) bool {
	p, err := parts(s)
	return err == nil && len(p) == 1 && p[0].ref != nil
}

func parseReference(text string) (reference, error) {
	r := reference{text: text}
	wrong := func(why string) (reference, error) {
		return reference{}, fmt.Errorf("${%s}: %s", short(text), why)
	}
	if text == "" {
		return wrong("empty; want params.NAME, steps.NAME.output, item, run.id or secrets.NAME")
	}
	var rest string
	r.root, rest = cutRoot(text)
	switch r.root {
	case rootItem: // the path follows
	case rootRun:
		if rest != "id" {
			return wrong("of a run there is only run.id")
		}
		return r, nil
	case rootParams, rootSecrets:
		r.name, rest = cutName(rest)
		if !isIdentifier(r.name) {
			return wrong("want " + r.root + ".NAME")
		}
	case rootSteps:
		name, after, ok := cutOutput(rest)
		if !ok {
			return wrong("want steps.NAME.output, and a path into it")
		}
		r.name, rest = name, after
	default:
		return wrong("only " + strings.Join(roots(), ", ") + " can be referred to" + hintRoot(r.root))
	}
	path, err := parsePath(rest)
	if err != nil {
		return wrong(err.Error())
	}
	if r.root == rootSecrets && len(path) > 0 {
		return wrong("a secret has no parts")
	}
	r.path = path
	return r, nil
}

func roots() []string { return []string{rootParams, rootSteps, rootItem, rootRun, rootSecrets} }

func hintRoot(root string) string {
	if h := didYouMean(root, roots()); strings.Contains(h, "did you") {
		return h
	}
	return ""
}

// cutRoot splits "params.day" into root and rest. The rest of an item keeps its
// dot, since the item itself has a path.
func cutRoot(text string) (root, rest string) {
	i := strings.IndexAny(text, ".[")
	switch {
	case i < 0:
		return text, ""
	case text[:i] == rootItem:
		return rootItem, text[i:]
	case text[i] == '[':
		return text, ""
	}
	return text[:i], text[i+1:]
}

// cutName splits "files[0].name" at the end of its first name.
func cutName(s string) (name, rest string) {
	if i := strings.IndexAny(s, ".["); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// cutOutput splits "a.b.output.path" after the name of a step, which may have
// dots of its own.
func cutOutput(s string) (name, rest string, ok bool) {
	const output = ".output"
	from := 0
	for {
		i := strings.Index(s[from:], output)
		if i < 0 {
			return "", "", false
		}
		i += from
		rest = s[i+len(output):]
		if i > 0 && badName(s[:i]) == "" && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return s[:i], rest, true
		}
		from = i + 1
	}
}

// parsePath reads ".a[0].b".
func parsePath(s string) ([]string, error) {
	var path []string
	for s != "" {
		switch s[0] {
		case '.':
			name, rest := cutName(s[1:])
			if name == "" || strings.ContainsAny(name, "{}$ \t\n\"'|()") {
				return nil, errors.New("a path is made of .NAME and [NUMBER]")
			}
			path, s = append(path, name), rest
		case '[':
			number, rest, ok := strings.Cut(s[1:], "]")
			if n, err := strconv.Atoi(number); !ok || err != nil || n < 0 || strconv.Itoa(n) != number {
				return nil, errors.New("a path is made of .NAME and [NUMBER], which counts from 0")
			}
			path, s = append(path, number), rest
		default:
			return nil, errors.New("a path is made of .NAME and [NUMBER]")
		}
	}
	return path, nil
}

// isIdentifier reports whether a name can stand in references and conditions
// alike.
func isIdentifier(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

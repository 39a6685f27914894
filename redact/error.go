package redact

import (
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Describer is an error that tells its own words apart from those of the
// errors it wraps: Describe returns its text, with that of a wrapped error as
// text gives it. What Describe adds is taken as harmless.
type Describer interface {
	error
	Describe(text func(error) string) string
}

// Error returns what may be said of err, whatever it is and wraps; "" for nil.
//
//   - An error of the server is told by [Fields].
//   - What a program or a library put before it with fmt.Errorf is left out.
//   - Of errors of the network, of files and of URLs the operation and the
//     reason are kept, the address, the path and the URL are not.
//   - Errors with a text that is always the same (io.EOF, pgx.ErrNoRows, the
//     sentinels of perdure) keep it.
//   - A [Describer], such as one that [Errorf] made, speaks for itself.
//   - Any other error is told by the name of its type.
func Error(err error) string { return Redactor{}.Error(err) }

// Bounds on what is looked at, since a tree made by hand may be endless.
const (
	maxErrors = 64
	maxDepth  = 32
)

// walk is one walk over the tree of an error.
type walk struct {
	trust   func(error) (string, bool)
	words   bool
	visited int
	depth   int
}

// text returns what may be said of err; a method of err that panics costs the
// error its text.
func (w *walk) text(err error) (s string) {
	if err == nil {
		return ""
	}
	if w.visited >= maxErrors || w.depth >= maxDepth {
		return "…"
	}
	w.visited++
	w.depth++
	depth := w.depth
	defer func() {
		w.depth = depth - 1
		if recover() != nil {
			s = typeName(err)
		}
	}()
	if w.trust != nil {
		if s, ok := w.trust(err); ok {
			return oneLine(bound(s, maxMessage))
		}
	}
	if d, ok := err.(Describer); ok { //nolint:errorlint // err alone; what it wraps comes later
		return oneLine(d.Describe(w.text))
	}
	if f, ok := FieldsOf(err); ok {
		return f.String()
	}
	if s, ok := w.known(err); ok {
		return s
	}
	switch x := err.(type) { //nolint:errorlint // err alone
	case interface{ Unwrap() []error }:
		return w.wrapped(err, x.Unwrap()...)
	case interface{ Unwrap() error }:
		return w.wrapped(err, x.Unwrap())
	}
	s = err.Error()
	if constant(s) {
		return s
	}
	if w.words {
		return masked(s)
	}
	return typeName(err)
}

// known tells the errors of the standard library that hold names and addresses.
func (w *walk) known(err error) (string, bool) {
	switch e := err.(type) { //nolint:errorlint // err alone
	case syscall.Errno:
		return e.Error(), true // by number, from a table
	case *net.OpError:
		return join(": ", word(e.Op, "dial", "read", "write", "close", "accept", "listen", "set"), w.text(e.Err)), true
	case *net.DNSError:
		reason := "lookup failed"
		if constant(e.Err) {
			reason = e.Err
		}
		return "lookup: " + reason, true
	case *url.Error:
		return join(": ", word(e.Op, "Get", "Head", "Post", "Put", "Patch", "Delete", "Options", "parse"), w.text(e.Err)), true
	case *fs.PathError:
		return join(": ", word(e.Op, "open", "read", "write", "close", "stat", "mkdir", "remove", "sync", "truncate"), w.text(e.Err)), true
	case *os.LinkError:
		return join(": ", word(e.Op, "link", "symlink", "rename"), w.text(e.Err)), true
	case *os.SyscallError:
		return join(": ", word(e.Syscall, "connect", "read", "write", "accept", "bind", "socket", "getsockopt"), w.text(e.Err)), true
	case *strconv.NumError:
		return join(": ", "number", w.text(e.Err)), true
	}
	return "", false
}

// wrapped returns the texts of what err wraps, each once, after the name of
// err's type if it is an exported one.
func (w *walk) wrapped(err error, inner ...error) string {
	if w.words && len(inner) == 1 && inner[0] != nil {
		if before, ok := strings.CutSuffix(err.Error(), inner[0].Error()); ok {
			return masked(before) + w.text(inner[0])
		}
	}
	var parts []string
	for _, e := range inner {
		if s := w.text(e); s != "" && !slices.Contains(parts, s) {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return typeName(err)
	}
	prefix := ""
	if t := typeName(err); exported(t) {
		prefix = t
	}
	return join(": ", prefix, strings.Join(parts, "; "))
}

// typeName returns the name of err's type, such as *exec.ExitError.
func typeName(err error) string {
	t := reflect.TypeOf(err)
	stars := ""
	for t.Kind() == reflect.Pointer && t.Name() == "" {
		t, stars = t.Elem(), stars+"*"
	}
	if t.Name() == "" {
		return "error" // a struct without a name spells its fields and tags
	}
	return bound(stars+t.String(), 100)
}

func exported(typeName string) bool {
	_, n, ok := strings.Cut(typeName, ".")
	return ok && n != "" && n[0] >= 'A' && n[0] <= 'Z'
}

// word returns s if it is one of those allowed.
func word(s string, allowed ...string) string {
	if slices.Contains(allowed, s) {
		return s
	}
	return ""
}

// join joins what is not empty.
func join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

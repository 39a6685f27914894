package component

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// limits bound what goes in and out of an invocation.
type limits struct {
	bytes int // of JSON
	depth int // of arrays and objects within each other
}

// hopsPerLevel is how many pointers and interfaces there may be to each level of
// JSON: more of them is a value that contains itself.
const hopsPerLevel = 4

// encode encodes v. encoding/json builds the whole text before it writes any of
// it, so that v is measured first: what is too large, too deep or contains itself is
// refused before it takes memory. (What types with their own MarshalJSON write
// is only known afterwards.)
func encode(v any, l limits) (json.RawMessage, error) {
	m := meter{left: l.bytes, depth: l.depth, hops: hopsPerLevel * l.depth}
	m.value(reflect.ValueOf(v))
	switch {
	case m.left < 0:
		return nil, fmt.Errorf("has more than %s", size(l.bytes))
	case m.deep:
		return nil, fmt.Errorf("is nested deeper than %d, or contains itself", l.depth)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", encodeError(err))
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > l.bytes {
		return nil, fmt.Errorf("has %s, more than %s", size(len(out)), size(l.bytes))
	}
	return out, nil
}

// encodeError drops the library's prefix, and from the error of a value that
// cannot be encoded nothing: it names the value's kind, or NaN and the like.
func encodeError(err error) error {
	if text, ok := strings.CutPrefix(err.Error(), "json: "); ok {
		if _, ok := errors.AsType[*json.MarshalerError](err); !ok {
			return errors.New(text)
		}
	}
	return err
}

// decodeError says of an error of encoding/json what the caller can use: it
// happens where a schema cannot say what a type takes.
func decodeError(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		path := "/" + strings.ReplaceAll(t.Field, ".", "/")
		return fmt.Errorf("%s: a JSON %s cannot be decoded into %v", path, strings.Fields(t.Value + " value")[0], t.Type)
	}
	return err
}

// size writes a number of bytes for people.
func size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0 || n >= 100<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0 || n >= 100<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// joinLines is errors.Join with "; " between the texts: an error is one line.
func joinLines(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return lines(errs)
}

type lines []error

func (l lines) Error() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (l lines) Unwrap() []error { return l }

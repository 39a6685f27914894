package builtin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxLine is the most bytes of a line.
const maxLine = 1 << 20

// field is a value of a record; nil means NULL.
type field = *string

// record is one line of a file, as values or with what is wrong with it.
type record struct {
	line   int
	fields []field
	fault  string
	text   string // its beginning, if it has a fault
}

// reject gives the record a fault.
func (r *record) reject(text []byte, fault string) {
	const most = 200
	s := strings.ReplaceAll(strings.ToValidUTF8(string(text[:min(len(text), most)]), "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > most {
		s += "…"
	}
	r.fields, r.fault, r.text = nil, fault, s
}

// eachLine calls fn for each line without its end. A record is a line, quotes or
// not: a quote that is never closed spoils its own line and not the rest of the
// file. Of a line that is too long, fn gets the beginning and long.
func eachLine(r io.Reader, fn func(n int, text []byte, long bool) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var text []byte
	for n := 1; ; n++ {
		text = text[:0]
		long, some := false, false
		for {
			part, err := in.ReadSlice('\n')
			some = some || len(part) > 0
			room := max(0, maxLine+2-len(text))
			long = long || len(part) > room
			text = append(text, part[:min(len(part), room)]...)
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if err != nil && !some {
				return nil
			}
			break
		}
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
		}
		if err := fn(n, bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), long); err != nil {
			return err
		}
	}
}

// badText says what is wrong with a line before its format is looked at, or "".
func badText(text []byte, long bool) string {
	switch {
	case long:
		return fmt.Sprintf("more than %d bytes", maxLine)
	case len(bytes.TrimSpace(text)) == 0:
		return "empty line"
	case bytes.IndexByte(text, 0) >= 0:
		return "NUL byte"
	case !utf8.Valid(text):
		return "not UTF-8"
	}
	return ""
}

// splitCSV splits a line at its delimiters (RFC 4180). A field without quotes
// that is null means NULL.
func splitCSV(text string, delimiter byte, null string) ([]field, error) {
	var out []field
	for {
		if !strings.HasPrefix(text, `"`) {
			i := strings.IndexByte(text, delimiter)
			value, more := text, i >= 0
			if more {
				value = text[:i]
			}
			if strings.Contains(value, `"`) {
				return nil, fmt.Errorf("column %d: quote inside a field without quotes", len(out)+1)
			}
			if value == null {
				out = append(out, nil)
			} else {
				out = append(out, &value)
			}
			if !more {
				return out, nil
			}
			text = text[i+1:]
			continue
		}
		value, rest, err := quoted(text[1:])
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", len(out)+1, err)
		}
		out = append(out, &value)
		if rest == "" {
			return out, nil
		}
		if rest[0] != delimiter {
			return nil, fmt.Errorf("column %d: text after the closing quote", len(out))
		}
		text = rest[1:]
	}
}

func quoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for {
		part, after, closed := strings.Cut(s, `"`)
		if !closed {
			return "", "", errors.New("quote that is never closed")
		}
		b.WriteString(part)
		if !strings.HasPrefix(after, `"`) {
			return b.String(), after, nil
		}
		b.WriteByte('"')
		s = after[1:]
	}
}

// splitJSON reads an object in the order of columns.
func splitJSON(text []byte, columns []string) ([]field, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, errors.New("is no JSON object")
	}
	out := make([]field, len(columns))
	for name, raw := range object {
		i := slices.Index(columns, name)
		if i < 0 {
			return nil, fmt.Errorf("key %.40q is none of the columns", name)
		}
		switch raw[0] {
		case 'n':
			continue
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, fmt.Errorf("key %.40q: %w", name, err)
			}
			if strings.ContainsRune(s, 0) {
				return nil, fmt.Errorf("key %.40q: NUL character", name)
			}
			out[i] = &s
		default:
			s := string(raw)
			out[i] = &s
		}
	}
	return out, nil
}

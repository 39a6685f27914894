package flights

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxLine is the most bytes of a line that are kept: no flight needs 200.
const maxLine = 4 << 10

// line is a line of a file without its end.
type line struct {
	number int
	text   []byte // its first maxLine bytes
	length int    // all its bytes
}

// eachLine calls fn for each line. A record is a line here, quotes or not: a
// quote that is never closed spoils its own line and not the rest of the file.
// However long a line is, memory holds only its beginning.
func eachLine(r io.Reader, fn func(line) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		l := line{number: n}
		for {
			part, err := in.ReadSlice('\n')
			l.length += len(part)
			l.text = append(l.text, part[:min(len(part), maxLine+2-min(len(l.text), maxLine+2))]...)
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if err != nil && l.length == 0 {
				return nil
			}
			break
		}
		if l.length == len(l.text) {
			l.text = bytes.TrimSuffix(bytes.TrimSuffix(l.text, []byte("\n")), []byte("\r"))
			l.length = len(l.text)
		}
		if err := fn(l); err != nil {
			return err
		}
	}
}

// fields splits a line at its commas. A field may be in double quotes, in which
// two quotes are one. Spaces around a field are not part of it.
func (l line) fields() ([]string, error) {
	switch {
	case l.length > maxLine:
		return nil, fmt.Errorf("line of %d bytes, the most is %d", l.length, maxLine)
	case len(bytes.TrimSpace(l.text)) == 0:
		return nil, errors.New("empty line")
	case bytes.IndexByte(l.text, 0) >= 0:
		return nil, errors.New("NUL byte")
	case !utf8.Valid(l.text):
		return nil, errors.New("not UTF-8")
	}
	var (
		out  []string
		rest = string(l.text)
	)
	for {
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, `"`) {
			field, after, more := strings.Cut(rest, ",")
			if strings.Contains(field, `"`) {
				return nil, fmt.Errorf("column %d: quote inside a field without quotes", len(out)+1)
			}
			out = append(out, strings.TrimSpace(field))
			if !more {
				return out, nil
			}
			rest = after
			continue
		}
		field, after, err := quoted(rest[1:])
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", len(out)+1, err)
		}
		out = append(out, strings.TrimSpace(field))
		if after == "" {
			return out, nil
		}
		rest = after[1:]
	}
}

// quoted reads up to the closing quote; after is "" or begins with a comma.
func quoted(s string) (field, after string, err error) {
	var b strings.Builder
	for {
		part, rest, closed := strings.Cut(s, `"`)
		if !closed {
			return "", "", errors.New("quote that is never closed")
		}
		b.WriteString(part)
		if strings.HasPrefix(rest, `"`) {
			b.WriteByte('"')
			s = rest[1:]
			continue
		}
		rest = strings.TrimLeft(rest, " \t")
		if rest != "" && rest[0] != ',' {
			return "", "", errors.New("text after the closing quote")
		}
		return b.String(), rest, nil
	}
}

// excerpt is the beginning of the line as PostgreSQL can store it.
func (l line) excerpt() string {
	s := strings.ReplaceAll(strings.ToValidUTF8(string(l.text[:min(len(l.text), 200)]), "\uFFFD"), "\x00", "\uFFFD")
	if l.length > 200 {
		s += "…"
	}
	return s
}

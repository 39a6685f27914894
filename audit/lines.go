package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// line is one line of a trail as it was read.
type line struct {
	seg    segment
	number int    // counted from 1
	offset int64  // of its first byte
	text   []byte // without the newline; cut short if it is longer than a line can be
	whole  bool   // it ends with a newline
	last   bool   // it stands in the last file
}

// lines reads the lines of the files of a trail, in order. It holds one line.
type lines struct {
	dir    string
	rest   []segment
	seg    segment
	file   *os.File
	r      *bufio.Reader
	number int
	offset int64
}

func newLines(dir string, list []segment) *lines {
	return &lines{dir: dir, rest: list, r: bufio.NewReaderSize(nil, maxLine+1)}
}

// next returns the next line, or io.EOF. The text is the caller's.
func (s *lines) next() (line, error) {
	for {
		if s.file == nil {
			if len(s.rest) == 0 {
				return line{}, io.EOF
			}
			f, err := os.Open(filepath.Join(s.dir, s.rest[0].name))
			if err != nil {
				return line{}, fmt.Errorf("audit: %w", err)
			}
			s.seg, s.rest = s.rest[0], s.rest[1:]
			s.file, s.number, s.offset = f, 0, 0
			s.r.Reset(f)
		}
		l, err := s.read()
		if !errors.Is(err, io.EOF) {
			return l, err
		}
		if err := s.close(); err != nil {
			return line{}, err
		}
	}
}

// all yields the lines that are left, and an error if reading fails.
func (s *lines) all() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		for {
			l, err := s.next()
			if errors.Is(err, io.EOF) || !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// read returns the next line of the open file, or io.EOF.
func (s *lines) read() (line, error) {
	l := line{seg: s.seg, number: s.number + 1, offset: s.offset, last: len(s.rest) == 0}
	part, err := s.r.ReadSlice('\n')
	l.text = append([]byte(nil), part...)
	s.offset += int64(len(part))
	for errors.Is(err, bufio.ErrBufferFull) { // longer than any record: nobody needs the rest
		part, err = s.r.ReadSlice('\n')
		s.offset += int64(len(part))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return line{}, fmt.Errorf("audit: %w", err)
	}
	if s.offset == l.offset {
		return line{}, io.EOF
	}
	s.number++
	l.whole = err == nil
	if n := len(l.text); n > 0 && l.text[n-1] == '\n' {
		l.text = l.text[:n-1]
	}
	return l, nil
}

func (s *lines) close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}

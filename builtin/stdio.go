package builtin

import (
	"bytes"
	"log/slog"
	"strings"
)

// bounded keeps the first bytes that are written to it.
type bounded struct {
	b    []byte
	most int
	over bool
}

// Write never fails: a command that is cut off would fail for another reason
// than that it says too much.
func (w *bounded) Write(p []byte) (int, error) {
	room := w.most - len(w.b)
	if len(p) > room {
		w.over = true
	}
	w.b = append(w.b, p[:min(len(p), room)]...)
	return len(p), nil
}

// The bounds of what is kept of stderr.
const (
	maxLogLine = 4 << 10
	maxTail    = 1 << 10
)

// stderr tells a log each line of what a command writes there, redacted.
type stderr struct {
	log  *slog.Logger
	hide string
	line []byte
	long bool
	tail []string
}

// Write takes what the command writes, and never fails.
func (w *stderr) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		room := maxLogLine - len(w.line)
		w.long = w.long || len(part) > room
		w.line = append(w.line, part[:min(len(part), room)]...)
		if i < 0 {
			return n, nil
		}
		w.flush()
		p = p[i+1:]
	}
}

// flush ends the line.
func (w *stderr) flush() {
	if len(w.line) == 0 {
		return
	}
	text := redacted(strings.ToValidUTF8(string(w.line), "\uFFFD"), w.hide)
	w.log.Info("stderr", slog.String("line", text), slog.Bool("cut", w.long))
	w.tail = append(w.tail, text)
	for len(w.tail) > 1 && len(w.last()) > maxTail {
		w.tail = w.tail[1:]
	}
	w.line, w.long = w.line[:0], false
}

// last returns the end of it.
func (w *stderr) last() string { return strings.Join(w.tail, "; ") }

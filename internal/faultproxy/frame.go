package faultproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	headerLen  = 5
	inspectMax = 16 << 10 // how much of a message a rule may see
	bufferLen  = 64 << 10 // more than inspectMax and a header, so that an inspected part fits
)

var errFrame = errors.New("not a PostgreSQL message")

// A frame is the beginning of one message in a buffer.
type frame struct {
	kind byte
	size int    // of the whole message, type and length included
	body []byte // the payload, as far as it is needed and there
}

// parseFrame reads the message at the beginning of buf. ok is false while more of
// it has to be read first: the header, or the payload where the type asks for inspection.
func parseFrame(buf []byte, inspect func(kind byte) bool) (f frame, ok bool, err error) {
	if len(buf) < headerLen {
		return frame{}, false, nil
	}
	length := binary.BigEndian.Uint32(buf[1:headerLen])
	if length < 4 || length > 1<<30 {
		return frame{}, false, fmt.Errorf("%w: type %q, length %d", errFrame, buf[0], length)
	}
	f = frame{kind: buf[0], size: int(length) + 1}
	if inspect(f.kind) {
		need := min(f.size, inspectMax)
		if len(buf) < need {
			return frame{}, false, nil
		}
		f.body = buf[headerLen:need]
	}
	return f, true, nil
}

// cstring splits off a zero-terminated string. A string that was cut off by
// inspectMax has no terminator and is returned as far as it goes.
func cstring(b []byte) (s, rest []byte) {
	s, rest, _ = bytes.Cut(b, []byte{0})
	return s, rest
}

// errorCode returns the SQLSTATE of an ErrorResponse.
func errorCode(body []byte) string {
	for len(body) > 1 {
		kind := body[0]
		var value []byte
		value, body = cstring(body[1:])
		if kind == 'C' {
			return string(value)
		}
	}
	return ""
}

package perduresql

import "encoding/binary"

// Codes that stand where a startup message has its version.
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
	tlsHandshake  = 0x16 // the first byte of TLS without a question
)

const (
	headerLen = 5       // a type and the length, which counts itself
	maxKept   = 1 << 16 // of a message that is read; longer ones are passed over
)

// scanner cuts what a server sends into messages, and keeps those that are read.
// What comes after encryption was agreed is opaque.
type scanner struct {
	opaque bool
	begun  bool // something was sent
	answer bool // one byte, about encryption, comes next
	rows   bool // DataRow is read too
	skip   int  // bytes until the next header
	kept   []byte
}

// sent looks at what the client writes, for its wish for encryption.
func (s *scanner) sent(p []byte) {
	if s.opaque || s.begun || len(p) == 0 {
		return
	}
	if p[0] == tlsHandshake {
		s.opaque = true
		return
	}
	if len(p) == 8 {
		switch binary.BigEndian.Uint32(p[4:]) {
		case sslRequest, gssRequest:
			s.answer = true
			return
		}
	}
	s.begun = true
}

// received gives each message that is read to saw.
func (s *scanner) received(p []byte, saw func(kind byte, body []byte)) {
	if s.answer && len(p) > 0 {
		s.answer = false
		s.opaque = p[0] == 'S' || p[0] == 'G'
		p = p[1:]
	}
	for !s.opaque && len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			s.skip -= n
			p = p[n:]
			continue
		}
		want := headerLen
		if len(s.kept) >= headerLen {
			want += s.body()
		}
		n := min(want-len(s.kept), len(p))
		s.kept = append(s.kept, p[:n]...)
		p = p[n:]
		if len(s.kept) < want {
			return
		}
		if want == headerLen {
			if n := s.body(); s.wanted(s.kept[0]) && n > 0 && n <= maxKept {
				continue
			}
			s.skip = s.body()
		} else {
			saw(s.kept[0], s.kept[headerLen:])
		}
		s.kept = s.kept[:0]
	}
}

// wanted reports whether messages of a kind are read.
func (s *scanner) wanted(kind byte) bool {
	switch kind {
	case 'K', 'Z', 'C', 'E', 'N':
		return true
	case 'D':
		return s.rows
	}
	return false
}

// body returns how long the message in kept is after its header.
func (s *scanner) body() int {
	return max(int(binary.BigEndian.Uint32(s.kept[1:headerLen]))-4, 0)
}

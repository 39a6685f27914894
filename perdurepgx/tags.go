package perdurepgx

import (
	"encoding/binary"
	"sync/atomic"
)

// tags counts the command tags by which the server says what a function did to
// its transaction. Nothing else can tell: a COMMIT may be sent past the Tx that
// perdure gave out, and COMMIT AND CHAIN leaves the status of the connection as
// it was.
type tags struct {
	commits   atomic.Int64 // COMMIT and PREPARE TRANSACTION
	rollbacks atomic.Int64 // ROLLBACK, also TO a savepoint: the server does not tell them apart
	sets      atomic.Int64 // SET
	discards  atomic.Int64 // DISCARD ALL and DEALLOCATE ALL
}

// tally is what tags had counted at some moment.
type tally struct{ commits, rollbacks, sets int64 }

func (t *tags) now() tally {
	return tally{t.commits.Load(), t.rollbacks.Load(), t.sets.Load()}
}

func (t *tags) saw(tag string) {
	switch tag {
	case "COMMIT\x00", "PREPARE TRANSACTION\x00":
		t.commits.Add(1)
	case "ROLLBACK\x00":
		t.rollbacks.Add(1)
	case "SET\x00":
		t.sets.Add(1)
	case "DISCARD ALL\x00", "DEALLOCATE ALL\x00":
		t.discards.Add(1)
	}
}

const (
	headerLen  = 5 // a type and the length, which counts itself
	longestTag = len("PREPARE TRANSACTION\x00")
)

// tagScanner finds the CommandComplete messages in what a server sends. It
// keeps nothing but a header or a tag that is cut in two by the end of a read.
type tagScanner struct {
	tags *tags
	skip int // bytes until the next header
	kept [headerLen + longestTag]byte
	n    int // bytes in kept
}

func (s *tagScanner) scan(p []byte) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			s.skip -= n
			p = p[n:]
			continue
		}
		if s.n == 0 && len(p) >= headerLen && !wanted(p) { // nearly always
			s.skip, p = bodyOf(p), p[headerLen:]
			continue
		}
		want := headerLen
		if s.n >= headerLen {
			want += bodyOf(s.kept[:])
		}
		n := copy(s.kept[s.n:want], p)
		s.n += n
		p = p[n:]
		if s.n < want || want == headerLen && wanted(s.kept[:]) {
			continue
		}
		if want > headerLen {
			s.tags.saw(string(s.kept[headerLen:want]))
		} else {
			s.skip = bodyOf(s.kept[:])
		}
		s.n = 0
	}
}

// between reports whether what was read last ended with a message's end.
func (s *tagScanner) between() bool { return s.skip == 0 && s.n == 0 }

// wanted reports whether a header begins a message that is read.
func wanted(header []byte) bool {
	n := bodyOf(header)
	return header[0] == 'C' && n > 0 && n <= longestTag
}

// bodyOf returns how long the message is after its header.
func bodyOf(header []byte) int {
	return max(int(binary.BigEndian.Uint32(header[1:headerLen]))-4, 0)
}

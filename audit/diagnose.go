package audit

import (
	"encoding/hex"
	"errors"
	"io"
	"strings"
)

// diagnose finds out why l, which holds e unless err says that it holds
// nothing, does not follow the last good record. It reads on: what stands
// behind tells a changed record from one that was moved, put in or taken away.
func (c *chain) diagnose(l line, e Entry, sum digest, err error, rest *lines) error {
	if errors.Is(err, errVersion) {
		return c.broken(ReasonVersion, l, err.Error())
	}
	next, found, again, readErr := c.ahead(e, rest)
	if readErr != nil {
		return readErr
	}
	// The line is all right, and the one behind it builds on it, or a signature vouches for it.
	confirmed := err == nil && (next.Seq == e.Seq+1 && next.Prev == sum.String() || c.vouched(e))
	want := c.seq + 1
	switch {
	case found && (err != nil || e.Seq <= want || again):
		return c.broken(ReasonInserted, l, "")
	case found:
		return c.broken(ReasonReordered, l, "record "+decimal(e.Seq)+" stands in its place")
	case err != nil:
		return c.broken(ReasonChanged, l, err.Error())
	case e.Seq == want && confirmed && c.seq > c.signed && c.at.number > 0:
		// Two records confirm each other, and neither knows the one before.
		c.seq--
		return c.broken(ReasonChanged, c.at, "the record after it names another hash")
	case e.Seq == want:
		return c.broken(ReasonChanged, l, "it does not name the hash of the record before it")
	case next.Seq == want+1:
		return c.broken(ReasonChanged, l, "it says that it is record "+decimal(e.Seq))
	case e.Seq > want:
		b := c.broken(ReasonRemoved, l, "record "+decimal(e.Seq)+" follows")
		b.Last = e.Seq - 1
		return b
	}
	return c.broken(ReasonInserted, l, "it says that it is record "+decimal(e.Seq))
}

// vouched reports whether e is a checkpoint that a known key has signed over
// what e says comes before it.
func (c *chain) vouched(e Entry) bool {
	if e.Kind != KindCheckpoint || c.known == nil {
		return false
	}
	n, err := openNote(e.Note, c.known)
	return err == nil && n.Size == e.Seq-1 && n.Hash == e.Prev
}

// ahead reads the lines that are left. It returns the record on the next line,
// zero if there is none, and whether the record that is missed, and another copy
// of e, stand somewhere behind.
func (c *chain) ahead(e Entry, rest *lines) (next Entry, found, again bool, err error) {
	for first := true; ; first = false {
		l, err := rest.next()
		if errors.Is(err, io.EOF) {
			return next, found, again, nil
		}
		if err != nil {
			return Entry{}, false, false, err
		}
		x, _, err := parse(l.text)
		if err != nil || !l.whole {
			continue
		}
		if first {
			next = x
		}
		found = found || c.fits(x)
		again = again || x.Hash == e.Hash
	}
}

// broken says what is wrong with the record after the last good one.
func (c *chain) broken(r Reason, at line, detail string) *Error {
	return &Error{
		Reason: r, File: at.seg.name, Line: at.number, Seq: c.seq + 1, Last: c.seq + 1,
		Signed: min(c.signed, c.seq), Detail: detail,
	}
}

// missing says that the records after the last good one, to the one named, are
// not there.
func (c *chain) missing(last uint64, detail string) *Error {
	e := c.broken(ReasonTruncated, c.at, detail)
	e.Line++
	e.Last = last
	return e
}

// rewritten says that what was signed up to last is not what stands there.
func (c *chain) rewritten(at line, last uint64, detail string) *Error {
	e := c.broken(ReasonRewritten, at, detail)
	e.Seq, e.Last, e.Signed = c.signed+1, last, c.signed
	return e
}

// unhex decodes what parse has accepted.
func unhex(s string) []byte {
	b, _ := hex.DecodeString(s) // parse has checked it
	return b
}

// cutNote returns the text of a note without its signatures.
func cutNote(msg string) (text, signatures string, ok bool) {
	i := strings.LastIndex(msg, "\n\n")
	if i < 0 {
		return "", "", false
	}
	return msg[:i+1], msg[i+2:], true
}

package audit

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels, to be found with errors.Is.
var (
	// ErrClosed: the Trail was closed.
	ErrClosed = errors.New("audit: the trail is closed")
	// ErrLocked: another Trail, in this process or another, writes to the directory.
	ErrLocked = errors.New("another writer has the trail open")
	// ErrFailed: a write or fsync has failed, and the Trail takes no more records.
	ErrFailed = errors.New("audit: the trail has failed")
	// ErrNoTrail: the directory holds no trail.
	ErrNoTrail = errors.New("no audit trail")
)

// Reason says what is wrong with a trail.
type Reason string

// The reasons.
const (
	ReasonChanged    Reason = "changed"    // the record is not as it was written
	ReasonRemoved    Reason = "removed"    // records Seq to Last are missing
	ReasonReordered  Reason = "reordered"  // the record stands elsewhere
	ReasonInserted   Reason = "inserted"   // a line stands before the record that belongs here
	ReasonTruncated  Reason = "truncated"  // the trail ends early: records Seq to Last are missing
	ReasonUnfinished Reason = "unfinished" // the last line has no end
	ReasonRewritten  Reason = "rewritten"  // one of the records Seq to Last, or all of them, are not those that were signed
	ReasonSignature  Reason = "signature"  // a checkpoint is not signed by a known key
	ReasonVersion    Reason = "version"    // the record has an unknown version
	ReasonRenamed    Reason = "renamed"    // the file's name is not that of its first record
)

// Error names the first record of a trail that is not as it was written.
type Error struct {
	Reason Reason
	// File is the base name of the file, Line the line in it where it shows, counted from 1.
	File string
	Line int
	// Seq is the sequence number that the record has, or would have if it were there.
	Seq uint64
	// Last is the last sequence number of several; it is Seq where one record is meant.
	Last uint64
	// Signed is the number of records, from the first one, that a signed checkpoint covers and that
	// are as they were.
	Signed uint64
	// Detail is one more fact; it may be empty.
	Detail string
}

// Error returns the place and what is wrong there, for example
//
//	audit-0000000000000001.jsonl:42: record 42 was changed: its hash is not that of its bytes
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	which, verb := fmt.Sprintf("record %d", e.Seq), "was"
	if e.Last > e.Seq {
		which, verb = fmt.Sprintf("records %d to %d", e.Seq, e.Last), "were"
	}
	switch e.Reason {
	case ReasonInserted:
		fmt.Fprintf(&b, "a line was inserted before %s", which)
	case ReasonReordered:
		fmt.Fprintf(&b, "%s stands elsewhere: the order was changed", which)
	case ReasonTruncated:
		fmt.Fprintf(&b, "the trail was truncated: %s %s missing", which, strings.NewReplacer("was", "is", "were", "are").Replace(verb))
	case ReasonUnfinished:
		fmt.Fprintf(&b, "%s is unfinished: the line has no end", which)
	case ReasonSignature:
		fmt.Fprintf(&b, "%s: the checkpoint's signature does not hold", which)
	case ReasonVersion:
		fmt.Fprintf(&b, "%s cannot be read", which)
	case ReasonRenamed:
		fmt.Fprintf(&b, "the file was renamed: it begins with %s", which)
	case ReasonRewritten:
		fmt.Fprintf(&b, "%s %s rewritten", which, verb)
	default:
		fmt.Fprintf(&b, "%s %s %s", which, verb, e.Reason)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

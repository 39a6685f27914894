package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// expected is what a checkpoint from outside the chain says of a size.
type expected struct {
	hash string
	from string // where the checkpoint is from, in words
}

// chain holds lines against those before them and against checkpoints.
type chain struct {
	seq    uint64 // of the last good record
	head   digest // its hash
	at     line   // where it stands
	adopt  bool   // the first line's prev is not known: take it as it is
	known  note.Verifiers
	expect map[uint64]expected // by size
	size   uint64              // the most records that anything says there are
	says   string              // what says so
	kept   bool                // there is a checkpoint beside the trail

	signed      uint64 // records that a good checkpoint covers
	checkpoints uint64
	last        uint64 // sequence number of the last checkpoint's record
	every       uint64 // checkpoint_every of the last writer; zero if it is not known
	origin      string
}

// step takes the next line. An error is an *Error, or that of reading on to
// find out what has happened.
func (c *chain) step(l line, rest *lines) (Entry, error) {
	e, sum, err := parse(l.text)
	if err == nil && c.adopt && e.Seq == c.seq+1 {
		copy(c.head[:], unhex(e.Prev))
		c.adopt = false
	}
	if err != nil || !c.fits(e) {
		return Entry{}, c.diagnose(l, e, sum, err, rest)
	}
	e.File, e.Line = l.seg.name, l.number
	before := c.at
	c.seq, c.head, c.at = e.Seq, sum, l
	if l.number == 1 && l.seg.first != e.Seq {
		return Entry{}, c.broken(ReasonRenamed, l, "its name says "+decimal(l.seg.first))
	}
	if e.Kind == KindCheckpoint && c.known != nil {
		if err := c.checkpoint(e, l); err != nil {
			return Entry{}, err
		}
	}
	if x, ok := c.expect[e.Seq]; ok && x.hash != e.Hash {
		return Entry{}, c.rewritten(l, e.Seq, x.from+" has another hash for it")
	} else if ok && c.known != nil {
		c.signed = e.Seq
	}
	// A writer signs at least that often; two records more may follow when a
	// killed one is followed by another.
	if c.every > 0 && e.Kind != KindCheckpoint && e.Seq-c.last > c.every+2 {
		c.at, c.seq = before, e.Seq-1
		return Entry{}, c.broken(ReasonSignature, l, fmt.Sprintf("the last %d records have no checkpoint, one was due after %d", e.Seq-c.last, c.every))
	}
	return e, nil
}

// fits reports whether e can follow the last good record.
func (c *chain) fits(e Entry) bool {
	return e.Seq == c.seq+1 && (e.Prev == c.head.String() || c.adopt)
}

// checkpoint checks the note of a checkpoint's record.
func (c *chain) checkpoint(e Entry, l line) error {
	n, err := openNote(e.Note, c.known)
	if err != nil {
		c.seq--
		return c.broken(ReasonSignature, l, err.Error())
	}
	if n.Size != e.Seq-1 {
		c.seq--
		return c.broken(ReasonSignature, l, fmt.Sprintf("its note is that of record %d", n.Size+1))
	}
	if n.Hash != e.Prev {
		return c.rewritten(l, n.Size, "the signed note has another hash for it")
	}
	c.signed, c.last, c.origin = n.Size, e.Seq, n.Origin
	c.checkpoints++
	return nil
}

// opened takes over what a signed record says about its writer.
func (c *chain) opened(e Entry) {
	if n, ok := e.Fields["checkpoint_every"].(json.Number); ok {
		if every, err := n.Int64(); err == nil && every > 0 {
			c.every = uint64(every)
		}
	}
}

// expectNote adds a checkpoint from outside the chain. Without known keys its
// signature is not checked.
func (c *chain) expectNote(text, from string, known note.Verifiers) error {
	var n Checkpoint
	var err error
	if known != nil {
		n, err = openNote(text, known)
	} else {
		body, _, _ := cutNote(text)
		n, err = readNote(body)
	}
	if err != nil {
		return err
	}
	if x, ok := c.expect[n.Size]; ok && x.hash != n.Hash {
		return fmt.Errorf("it contradicts %s: both are signed over %d records", x.from, n.Size)
	}
	if c.expect == nil {
		c.expect = map[uint64]expected{}
	}
	c.expect[n.Size] = expected{n.Hash, from}
	c.atLeast(n.Size, from)
	return nil
}

func (c *chain) atLeast(size uint64, says string) {
	if size > c.size {
		c.size, c.says = size, says
	}
}

// expectFile adds the checkpoint that is kept beside the trail, if it is there.
func (c *chain) expectFile(dir string, known note.Verifiers) error {
	b, err := os.ReadFile(filepath.Join(dir, checkpointFile)) //nolint:gosec // in the trail's directory
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its writer was killed before the first one, or complete says so
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	c.kept = true
	if err := c.expectNote(string(b), checkpointFile, known); err != nil {
		return &Error{Reason: ReasonSignature, File: checkpointFile, Line: 1, Detail: err.Error()}
	}
	return nil
}

// complete says whether the trail ended where it should.
func (c *chain) complete() error {
	if c.size > c.seq {
		return c.missing(c.size, c.says+" covers them")
	}
	if c.checkpoints > 1 && !c.kept {
		return &Error{
			Reason: ReasonRemoved, File: checkpointFile, Line: 1, Seq: c.last, Last: c.last, Signed: c.signed,
			Detail: "the file with the last checkpoint is missing",
		}
	}
	return nil
}

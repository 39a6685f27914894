package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Open opens the trail in cfg.Dir for writing, or begins one. It takes the lock
// (ErrLocked if another writer has it), finds or makes the key, checks the last
// file, cuts off an unfinished last line, and writes records that say all this,
// with a checkpoint. A last file that is broken in any other way, or shorter
// than the last checkpoint says, is an *[Error]: nothing is written to it, so
// that the evidence stays as it is. To go on all the same, move the directory
// away.
func Open(cfg Config) (*Trail, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if err := makeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	held, err := lock(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %s: %w", cfg.Dir, err)
	}
	t, err := open(&cfg, held)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return t, nil
}

func open(cfg *Config, held *os.File) (*Trail, error) {
	list, err := segments(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	end, err := findEnd(cfg.Dir, list)
	if err != nil {
		return nil, err
	}
	signer, public, err := loadKey(cfg, len(list) == 0)
	if err != nil {
		return nil, err
	}
	if err := publish(cfg.Dir, public); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	w := &writer{cfg: cfg, signer: signer, seq: end.seq, head: end.head, durable: end.seq, signed: end.signed}
	if len(list) == 0 {
		w.file, err = createSegment(cfg.Dir, 1)
	} else {
		w.file, w.size, err = reopen(filepath.Join(cfg.Dir, list[len(list)-1].name), end)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	w.full = w.size >= cfg.MaxFileBytes
	t := &Trail{cfg: *cfg, w: w, lock: held, token: make(chan struct{}, 1)}
	w.cfg = &t.cfg
	if err := t.begin(end); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return t, nil
}

// begin writes what Open has to say, and signs it together with all that a
// writer that was killed has left unsigned.
func (t *Trail) begin(end end) error {
	var records []Record
	if end.torn > 0 {
		records = append(records, Record{Kind: KindHealed, Action: "cut", Fields: map[string]any{
			"bytes": end.torn, "sha256": digest(sha256.Sum256(end.cut)).String(),
		}})
	}
	was := "new"
	if end.seq > 0 {
		was = "interrupted"
		if end.closed {
			was = "closed"
		}
	}
	records = append(records, Record{Kind: KindOpened, Action: was, Fields: map[string]any{
		"pid": os.Getpid(), "origin": t.w.signer.Name(), "key": fmt.Sprintf("%08x", t.w.signer.KeyHash()),
		"checkpoint_every": t.cfg.CheckpointEvery,
	}})
	g := &group{}
	for _, r := range records {
		r.Time = time.Now()
		m, err := encode(&r, "")
		if err != nil {
			return err
		}
		g.members = append(g.members, m)
	}
	if err := t.commit([]*group{g}); err != nil {
		return err
	}
	if err := t.checkpoint(checkpointOpen); err != nil {
		return err
	}
	t.settle()
	return t.Err()
}

// end is where a trail ends.
type end struct {
	seq    uint64
	head   digest
	signed uint64 // the last record that a checkpoint covers, the checkpoint's own included
	closed bool   // the last record is the checkpoint of Close
	size   int64  // of the last file, without what is cut
	cut    []byte // the unfinished last line, or its beginning; nil if there is none
	torn   int64  // bytes of the unfinished last line
}

// findEnd reads the last file, and the one before it if the last one is empty,
// and checks what it reads.
func findEnd(dir string, list []segment) (end, error) {
	c := chain{at: line{seg: segment{segmentName(1), 1}}}
	if err := c.expectFile(dir, nil); err != nil {
		return end{}, err
	}
	if len(list) == 0 {
		return end{}, c.complete()
	}
	n := len(list) - 1
	last, err := c.readEnd(dir, list[n])
	if err == nil && c.at.number == 0 && n > 0 { // begun and never written to
		torn := last
		if last, err = c.readEnd(dir, list[n-1]); err == nil && last.torn > 0 {
			err = c.broken(ReasonUnfinished, c.at, "and it is not the last file")
		}
		if err == nil && last.seq+1 != list[n].first {
			err = c.missing(max(last.seq+1, list[n].first-1), "the next file begins with another")
		}
		last.size, last.cut, last.torn = torn.size, torn.cut, torn.torn
	}
	if err == nil {
		err = c.complete()
	}
	return last, err
}

// readEnd reads one file to its end. What stands before it is taken as it says.
func (c *chain) readEnd(dir string, seg segment) (end, error) {
	c.seq, c.head, c.adopt, c.at = seg.first-1, digest{}, seg.first > 1, line{seg: seg}
	e := end{signed: c.seq} // a file is begun after a checkpoint
	s := newLines(dir, []segment{seg})
	defer func() { _ = s.close() }() // it was only read
	for l, err := range s.all() {
		if err != nil {
			return end{}, err
		}
		if !l.whole {
			e.cut, e.torn = l.text, s.offset-l.offset
			break
		}
		entry, err := c.step(l, s)
		if err != nil {
			return end{}, err
		}
		e.size = s.offset
		e.closed = entry.Kind == KindCheckpoint && entry.Action == checkpointClose
		if entry.Kind == KindCheckpoint {
			e.signed = entry.Seq
		}
	}
	e.seq, e.head = c.seq, c.head
	return e, nil
}

// reopen opens the last file to append to it, without what is to be cut off.
func reopen(name string, e end) (*os.File, int64, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // in the trail's directory
	if err != nil {
		return nil, 0, err
	}
	if e.torn > 0 {
		err = f.Truncate(e.size)
	}
	// What a writer that was killed had written need not be on the disk yet.
	if err = errors.Join(err, f.Sync()); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, e.size, syncDir(filepath.Dir(name))
}

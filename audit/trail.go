package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Trail is the writer of an audit trail. It is safe for concurrent use. Only
// one Trail at a time can have a directory open.
type Trail struct {
	cfg  Config
	w    *writer
	lock *os.File

	// token is held, as the one element of the channel, by the goroutine that
	// uses w. Whoever waits for a batch either gets the token and writes it, or
	// hears that another has.
	token chan struct{}
	timer sync.WaitGroup // a checkpoint by time that is due or under way

	mu       sync.Mutex // guards the fields below
	pending  *batch     // what the next holder of the token writes; nil if nothing
	closed   bool
	err      error
	failedAt time.Time
	stats    Stats
	clock    *time.Timer // of the checkpoint by time; nil if none is due
}

// Stats counts what a Trail did since Open.
type Stats struct {
	Records     uint64 // made durable, the trail's own included
	Checkpoints uint64 // signed
	Syncs       uint64 // fsyncs of records: fewer than records when appenders share them
	Failures    uint64 // records that were refused or lost because of a failed write, or after Close
	Size        uint64 // records in the trail, all files together
	Unsigned    uint64 // of them, those that no checkpoint covers yet
	Err         error  // why the trail has failed; nil if it has not
	FailedAt    time.Time
}

// batch is what is written and fsynced at once.
type batch struct {
	groups []*group
	done   chan struct{} // closed when err and the groups are set
	err    error
}

// group is what one Append wants to write.
type group struct {
	members [][]byte // encoded records
	left    bool     // the caller did not wait; guarded by Trail.mu
	last    uint64   // sequence number of the last record
}

// Append stores records, in their order and with nothing between them, and
// returns when they are on the disk, with the sequence number of the last one.
// Concurrent callers share an fsync.
//
// An error means that the records are not known to be stored: one that is
// [ErrRecord] was refused as it is, [ErrFailed] tells that the trail takes no
// more, ErrClosed that it was closed. The cause of ctx is returned only if
// ctx ended before the writing began, and then nothing was stored; a write
// that has begun is waited for.
func (t *Trail) Append(ctx context.Context, records ...Record) (uint64, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	g := &group{members: make([][]byte, 0, len(records))}
	for _, r := range records {
		m, err := t.encode(r)
		if err != nil {
			return 0, err
		}
		g.members = append(g.members, m)
	}
	if len(records) == 0 {
		return 0, nil
	}
	b, err := t.join(g)
	if err != nil {
		return 0, err
	}
	select {
	case <-b.done:
	case t.token <- struct{}{}:
		t.lead(b)
	case <-ctx.Done():
		if t.leave(b, g) {
			return 0, context.Cause(ctx)
		}
		<-b.done
	}
	if b.err != nil {
		return 0, b.err
	}
	return g.last, nil
}

// encode checks r and puts it into the form of a line, but for its place.
func (t *Trail) encode(r Record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	if r.Text != "" {
		r.Text = t.cfg.Sanitize(r.Text)
	}
	return encode(&r, "")
}

// join adds g to the batch that is written next.
func (t *Trail) join(g *group) (*batch, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.err
	if t.closed {
		err = ErrClosed
	}
	if err != nil {
		t.stats.Failures += uint64(len(g.members))
		return nil, err
	}
	if t.pending == nil {
		t.pending = &batch{done: make(chan struct{})}
	}
	t.pending.groups = append(t.pending.groups, g)
	return t.pending, nil
}

// leave takes g out of b. It is too late if b is being written.
func (t *Trail) leave(b *batch, g *group) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending != b {
		return false
	}
	g.left = true
	return true
}

// lead writes b as the holder of the token, and passes the token on.
func (t *Trail) lead(b *batch) {
	defer func() { <-t.token }() // also if a hook panics
	t.write(b)
}

// write writes b, unless it was written by an earlier holder of the token. The
// caller holds the token.
func (t *Trail) write(b *batch) {
	t.mu.Lock()
	if b == nil || t.pending != b {
		t.mu.Unlock()
		return
	}
	t.pending = nil
	groups := make([]*group, 0, len(b.groups))
	for _, g := range b.groups {
		if !g.left {
			groups = append(groups, g)
		}
	}
	err := t.err
	t.mu.Unlock()
	if err == nil {
		err = t.commit(groups)
	}
	if err != nil {
		t.mu.Lock()
		for _, g := range groups {
			t.stats.Failures += uint64(len(g.members))
		}
		t.mu.Unlock()
	}
	b.err = err
	close(b.done)
	if err == nil {
		t.settle()
	}
}

// commit makes the groups durable. The caller holds the token.
func (t *Trail) commit(groups []*group) error {
	for _, g := range groups {
		for _, m := range g.members {
			seq, err := t.w.add(m)
			if err != nil {
				return t.fail(err)
			}
			g.last = seq
		}
	}
	if err := t.w.flush(); err != nil {
		return t.fail(err)
	}
	return nil
}

// settle does what must follow a write but need not be waited for by those
// whose records are durable: it publishes a new checkpoint, counts, and sets
// the timer of the next one. The caller holds the token.
func (t *Trail) settle() {
	notes := t.w.takeNotes()
	if len(notes) > 0 {
		newest := []byte(notes[len(notes)-1])
		if err := replaceFile(filepath.Join(t.cfg.Dir, checkpointFile), newest, 0o644); err != nil {
			_ = t.fail(err) // it is kept, and the next Append gets it
		}
	}
	t.mu.Lock()
	t.count()
	t.stats.Checkpoints += uint64(len(notes))
	if t.stats.Unsigned == 0 {
		t.stopTimer()
	} else {
		t.startTimer()
	}
	t.mu.Unlock()
	if t.cfg.Checkpointed != nil {
		for _, n := range notes {
			t.cfg.Checkpointed(n)
		}
	}
}

// count takes over the writer's counters. The caller holds the token and mu.
func (t *Trail) count() {
	t.stats.Records, t.stats.Syncs = t.w.records, t.w.syncs
	t.stats.Size, t.stats.Unsigned = t.w.durable, t.w.unsigned
}

// fail makes the first error stick. The caller holds the token.
func (t *Trail) fail(err error) error {
	t.w.undo()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = fmt.Errorf("%w: %w", ErrFailed, err)
		t.failedAt = time.Now()
	}
	t.count()
	return t.err
}

// Err returns why the trail has failed, and nil as long as it has not. A failed
// trail stays failed: close it, see to the disk, and open it again.
func (t *Trail) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Stats returns what the trail did since Open. It never waits for the disk.
func (t *Trail) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Err, s.FailedAt = t.err, t.failedAt
	return s
}

// Close writes what waits to be written and a last checkpoint, and lets go of
// the directory. It returns the error that made the trail fail, if one did, or
// that of closing. Closing again does nothing.
func (t *Trail) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	t.stopTimer()
	t.mu.Unlock()
	t.timer.Wait()

	t.token <- struct{}{}
	t.mu.Lock()
	b := t.pending
	t.mu.Unlock()
	t.write(b)
	err := t.Err()
	if err == nil {
		err = t.checkpoint(checkpointClose)
	}
	err = errors.Join(err, t.w.close(), t.lock.Close())
	<-t.token
	return err
}

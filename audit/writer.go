package audit

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Why a checkpoint was signed: the action of its record.
const (
	checkpointOpen   = "open"
	checkpointCount  = "count"
	checkpointTime   = "time"
	checkpointRotate = "rotate"
	checkpointClose  = "close"
)

// writer puts lines into files. It knows nothing of goroutines: one at a time
// uses it.
type writer struct {
	cfg    *Config
	signer note.Signer

	file    *os.File
	size    int64    // bytes of file that are durable
	buf     []byte   // lines that are not written yet
	full    bool     // the next line belongs into a new file
	seq     uint64   // of the last line, that in buf included
	head    digest   // hash of the last line
	signed  uint64   // records that the last checkpoint covers, its own included
	notes   []string // of checkpoints since takeNotes
	durable uint64   // sequence number of the last line on the disk

	records, syncs, unsigned uint64 // of the durable lines
}

// add appends a record to the buffer and returns its sequence number; a
// checkpoint follows if one is due. It goes to the disk only to begin a new file.
func (w *writer) add(members []byte) (uint64, error) {
	if w.full {
		if err := w.rotate(); err != nil {
			return 0, err
		}
	}
	w.line(members)
	seq := w.seq
	if seq-w.signed >= uint64(w.cfg.CheckpointEvery) { //nolint:gosec // it is not negative
		if err := w.addCheckpoint(checkpointCount); err != nil {
			return 0, err
		}
	}
	if w.size+int64(len(w.buf)) >= w.cfg.MaxFileBytes {
		w.full = true
		if w.signed < w.seq {
			return seq, w.addCheckpoint(checkpointRotate)
		}
	}
	return seq, nil
}

func (w *writer) line(members []byte) {
	w.buf, w.head = appendLine(w.buf, w.seq+1, w.head, members)
	w.seq++
}

// addCheckpoint appends a checkpoint over all records before it.
func (w *writer) addCheckpoint(why string) error {
	text, err := sign(w.signer, w.seq, w.head)
	if err != nil {
		return err
	}
	r := Record{Time: time.Now(), Kind: KindCheckpoint, Action: why}
	members, err := encode(&r, text)
	if err != nil {
		return err
	}
	w.line(members)
	// The note that is kept beside the trail and sent elsewhere covers the
	// checkpoint's own record too: that nobody may cut off either.
	text, err = sign(w.signer, w.seq, w.head)
	if err != nil {
		return err
	}
	w.notes = append(w.notes, text)
	w.signed = w.seq
	return nil
}

// flush writes the buffer and waits until it is on the disk.
func (w *writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if _, err := w.file.Write(w.buf); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	w.size += int64(len(w.buf))
	w.buf = w.buf[:0]
	if cap(w.buf) > 1<<20 { // one great batch must not stay in memory for good
		w.buf = nil
	}
	w.syncs++
	w.records += w.seq - w.durable
	w.durable, w.unsigned = w.seq, w.seq-w.signed
	return nil
}

// rotate begins a new file. The old one is complete, its last line a checkpoint.
func (w *writer) rotate() error {
	if w.signed < w.seq {
		if err := w.addCheckpoint(checkpointRotate); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	f, err := createSegment(w.cfg.Dir, w.seq+1)
	if err != nil {
		return err
	}
	old := w.file
	w.file, w.size, w.full = f, 0, false
	return old.Close()
}

func createSegment(dir string, first uint64) (*os.File, error) {
	name := filepath.Join(dir, segmentName(first))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // in the trail's directory
	if err != nil {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// undo takes back what is not durable, as well as that is possible: the lines of
// a failed write must not stand before those of the next writer, for whether
// they are on the disk is not known.
func (w *writer) undo() {
	w.buf, w.notes = nil, nil
	if w.file.Truncate(w.size) == nil {
		_ = w.file.Sync() // the error that led here is the one to tell
	}
}

// takeNotes returns the notes of the durable checkpoints since the last call.
func (w *writer) takeNotes() []string {
	n := w.notes
	w.notes = nil
	return n
}

func (w *writer) close() error { return w.file.Close() }

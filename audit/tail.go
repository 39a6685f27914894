package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// TailConfig says what Tail yields. Only Dir must be set.
type TailConfig struct {
	// Dir is the directory of the trail.
	Dir string
	// Last is how many of the records that are there are yielded. Zero means 10; negative means all.
	Last int
	// Kinds are the kinds that are yielded and counted. Empty means all.
	Kinds []Kind
	// Follow goes on with records as they are written, across files, until ctx ends.
	Follow bool
	// Every is how often Follow looks for new records. Zero means 250ms.
	Every time.Duration
}

// Tail yields the last records of a trail, the oldest first, and follows it if
// asked to. It checks each line by itself, not the chain: that is Verify's
// business. A line that is no record is yielded as an *[Error], and ends it, as
// does any other error. When ctx ends, Tail ends without an error.
func Tail(ctx context.Context, cfg TailConfig) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if cfg.Last == 0 {
			cfg.Last = 10
		}
		if cfg.Every <= 0 {
			cfg.Every = 250 * time.Millisecond
		}
		if err := cfg.run(ctx, yield); err != nil && ctx.Err() == nil {
			yield(Entry{}, err)
		}
	}
}

func (cfg *TailConfig) run(ctx context.Context, yield func(Entry, error) bool) error {
	list, err := segments(cfg.Dir)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if len(list) == 0 {
		return fmt.Errorf("audit: %s: %w", cfg.Dir, ErrNoTrail)
	}
	r := &growing{dir: cfg.Dir, seg: list[len(list)-1]}
	defer func() { _ = r.close() }() // it was only read
	found, err := cfg.last(ctx, r)
	for i := len(list) - 2; i >= 0 && err == nil && (cfg.Last < 0 || len(found) < cfg.Last); i-- {
		older := &growing{dir: cfg.Dir, seg: list[i]}
		var before []Entry
		before, err = cfg.last(ctx, older)
		found = cfg.trim(append(before, found...))
		err = errors.Join(err, older.close())
	}
	for _, e := range found {
		if !yield(e, nil) {
			return nil
		}
	}
	if err != nil || !cfg.Follow {
		return err
	}
	return cfg.follow(ctx, r, yield)
}

// last returns the last wanted records of a file, with an error those before it.
func (cfg *TailConfig) last(ctx context.Context, r *growing) ([]Entry, error) {
	var found []Entry
	for e, err := range r.read() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return cfg.trim(found), err
		}
		if cfg.wants(e) {
			found = append(found, e)
		}
		if cfg.Last > 0 && len(found) >= 2*cfg.Last+100 {
			found = slices.Clone(cfg.trim(found))
		}
	}
	return cfg.trim(found), nil
}

func (cfg *TailConfig) trim(list []Entry) []Entry {
	if cfg.Last > 0 && len(list) > cfg.Last {
		return list[len(list)-cfg.Last:]
	}
	return list
}

func (cfg *TailConfig) wants(e Entry) bool {
	return len(cfg.Kinds) == 0 || slices.Contains(cfg.Kinds, e.Kind)
}

// follow yields what is written to the file of r and to those after it.
func (cfg *TailConfig) follow(ctx context.Context, r *growing, yield func(Entry, error) bool) error {
	ticker := time.NewTicker(cfg.Every)
	defer ticker.Stop()
	for {
		// Look for the next file first: what is read once it is there is all that this one will ever hold.
		list, err := segments(cfg.Dir)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		for e, err := range r.read() {
			if err != nil {
				return err
			}
			if cfg.wants(e) && !yield(e, nil) {
				return nil
			}
		}
		if i := slices.IndexFunc(list, func(s segment) bool { return s.first > r.seg.first }); i >= 0 {
			if err := r.close(); err != nil {
				return err
			}
			*r = growing{dir: cfg.Dir, seg: list[i]}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// growing reads a file of a trail that may be written to meanwhile.
type growing struct {
	dir    string
	seg    segment
	file   *os.File
	number int   // lines read
	offset int64 // where the next one begins
}

// read yields the records that have been completed since the last call.
func (r *growing) read() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if r.file == nil {
			f, err := os.Open(filepath.Join(r.dir, r.seg.name))
			if err != nil {
				yield(Entry{}, fmt.Errorf("audit: %w", err))
				return
			}
			r.file = f
		}
		// The beginning of a line is read again when its end is there: a writer that heals the
		// file may have put another line in its place.
		if _, err := r.file.Seek(r.offset, io.SeekStart); err != nil {
			yield(Entry{}, fmt.Errorf("audit: %w", err))
			return
		}
		in := bufio.NewReaderSize(r.file, maxLine+1)
		for {
			text, err := in.ReadSlice('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				yield(Entry{}, fmt.Errorf("audit: %w", err))
				return
			}
			r.number++
			r.offset += int64(len(text))
			e, err := r.entry(bytes.Clone(text[:len(text)-1]))
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (r *growing) entry(text []byte) (Entry, error) {
	e, _, err := parse(text)
	if err != nil {
		reason := ReasonChanged
		if errors.Is(err, errVersion) {
			reason = ReasonVersion
		}
		seq := r.seg.first + uint64(r.number) - 1 //nolint:gosec // it counts lines
		return Entry{}, &Error{Reason: reason, File: r.seg.name, Line: r.number, Seq: seq, Last: seq, Detail: err.Error()}
	}
	e.File, e.Line = r.seg.name, r.number
	return e, nil
}

func (r *growing) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// VerifyConfig says what a trail is held against. Only Dir must be set, but a
// key and a checkpoint that were kept elsewhere are what makes a proof: who can
// write to Dir can replace everything in it.
type VerifyConfig struct {
	// Dir is the directory of the trail.
	Dir string
	// Keys are the public keys that checkpoints may be signed with, "name+hash+key". Empty means
	// those in "audit.pub" in Dir.
	Keys []string
	// Checkpoints are signed notes of this trail that were kept elsewhere. What they cover must be
	// there. The one in "audit.checkpoint" in Dir is always added.
	Checkpoints []string
	// Size is the number of records that there must be at least.
	Size uint64
	// Pruned allows the first files to be missing; the first one that is left says where it begins.
	Pruned bool
}

// Report is what Verify found.
type Report struct {
	Origin      string    // name of the key of the last checkpoint
	Files       int       // with records
	Records     uint64    // read; of a pruned trail, fewer than Size
	Size        uint64    // sequence number of the last record
	Signed      uint64    // records that a signed checkpoint covers, from the first one
	Checkpoints uint64    // in the chain
	Head        string    // SHA-256 of the last record
	First, Last time.Time // of the first and the last record
	Healed      int       // times that an unfinished last line was cut off
	Live        bool      // a writer was writing the last line
}

// Verify reads a whole trail and returns what it found, up to the first record
// that is not as it was written, which an *[Error] names. Other errors say that
// the trail could not be read: [ErrNoTrail], a wrong key, or the system's.
// Records behind Report.Signed are chained, but nobody has signed for them yet.
// A trail that is being written to can be verified.
func Verify(ctx context.Context, cfg VerifyConfig) (Report, error) {
	c := &chain{}
	if err := c.prepare(cfg); err != nil {
		return Report{}, err
	}
	list, err := segments(cfg.Dir)
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	if len(list) == 0 {
		if err := c.complete(); err != nil {
			return Report{}, err
		}
		return Report{}, fmt.Errorf("audit: %s: %w", cfg.Dir, ErrNoTrail)
	}
	c.at = line{seg: list[0]}
	if cfg.Pruned && list[0].first > 1 {
		c.seq, c.adopt = list[0].first-1, true
		c.last = c.seq // a file is begun after a checkpoint
	}
	r := Report{Files: len(list)}
	err = r.read(ctx, c, newLines(cfg.Dir, list))
	if err == nil {
		err = c.complete()
	}
	r.Origin, r.Size, r.Signed, r.Checkpoints, r.Head = c.origin, c.seq, c.signed, c.checkpoints, c.head.String()
	return r, err
}

// prepare reads the keys and the checkpoints.
func (c *chain) prepare(cfg VerifyConfig) error {
	if info, err := os.Stat(cfg.Dir); err != nil {
		return fmt.Errorf("audit: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("audit: %s: %w: it is no directory", cfg.Dir, ErrNoTrail)
	}
	keys := cfg.Keys
	if len(keys) == 0 {
		b, err := os.ReadFile(filepath.Join(cfg.Dir, publicFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("audit: %w", err)
		}
		keys = strings.Fields(string(b))
	}
	known, err := verifiers(keys)
	if err != nil {
		return fmt.Errorf("audit: %s: %w", cfg.Dir, err)
	}
	c.known = known
	for i, text := range cfg.Checkpoints {
		if err := c.expectNote(text, "the checkpoint given", known); err != nil {
			return fmt.Errorf("audit: checkpoints[%d]: %w", i, err)
		}
	}
	c.atLeast(cfg.Size, "the size given")
	return c.expectFile(cfg.Dir, known)
}

// read takes all lines into the chain.
func (r *Report) read(ctx context.Context, c *chain, s *lines) error {
	defer func() { _ = s.close() }() // it was only read
	var opened *Entry
	for l, err := range s.all() {
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !l.whole {
			if r.Live = l.last && locked(s.dir); r.Live {
				return nil
			}
			return c.broken(ReasonUnfinished, l, "the next writer cuts it off and records that")
		}
		e, err := c.step(l, s)
		if err != nil {
			return err
		}
		if r.Records == 0 {
			r.First = e.Time
		}
		r.Records++
		r.Last = e.Time
		switch e.Kind {
		case KindHealed:
			r.Healed++
		case KindOpened:
			opened = &e
		case KindCheckpoint:
			if opened != nil {
				c.opened(*opened)
				opened = nil
			}
		default:
		}
	}
	return nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

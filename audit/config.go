package audit

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/perdure/perdure/redact"
)

// Config says where a trail is and how it is kept. Only Dir must be set.
type Config struct {
	// Dir is the directory of the trail. It is made with mode 0700 if it is not there. It must be
	// on a local disk: the lock and fsync mean little on a network's.
	Dir string
	// Origin names the trail in its checkpoints and its key, when a key is made: a host and a name,
	// such as "db7.example.com/warehouse", without spaces or plus. Empty means "perdure.audit".
	Origin string
	// Key is the private key that signs checkpoints, as note.GenerateKey makes them. Empty means
	// the key in KeyFile.
	Key string
	// KeyFile holds the private key. If it is not there and the trail has no records, a key is
	// made, with mode 0600. Empty means "audit.key" in Dir; keep it elsewhere if you can.
	KeyFile string
	// MaxFileBytes is the size at which a new file is begun. Zero means 16 MiB, which Open reads in
	// half a second; at least 4 KiB.
	MaxFileBytes int64
	// CheckpointEvery is the number of records after which a checkpoint is signed. Zero means 1,000.
	CheckpointEvery int
	// CheckpointAfter is the longest time that a record stays without a signed checkpoint. Zero
	// means one minute; negative means that only CheckpointEvery counts.
	CheckpointAfter time.Duration
	// Sanitize takes out of Record.Text what must not be stored; it may be called concurrently. Nil
	// means redact.Text, which takes out the secrets that can be recognised. One that returns ""
	// keeps all free text out.
	Sanitize func(string) string
	// Checkpointed is called with each signed checkpoint once it is durable, in order, and must not
	// block: Append waits for it. It must not call Append or Close. Send the note to another machine: it is the evidence against
	// whoever can write to this one. Nil means that nobody is told.
	Checkpointed func(note string)
}

const (
	defaultOrigin          = "perdure.audit"
	defaultMaxFile         = 16 << 20
	minMaxFile             = 4 << 10
	defaultCheckpointEvery = 1000
	defaultCheckpointAfter = time.Minute
)

// complete returns c with its defaults, and all its faults.
func (c Config) complete() (Config, error) {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("dir: it must be set"))
	}
	if c.Origin == "" {
		c.Origin = defaultOrigin
	}
	if strings.ContainsFunc(c.Origin, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' || r == unicode.ReplacementChar
	}) {
		faults = append(faults, fmt.Errorf("origin: %q has a space, a plus or a control character", c.Origin))
	}
	if c.Key != "" && c.KeyFile != "" {
		faults = append(faults, errors.New("key: it excludes key_file"))
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(c.Dir, privateFile)
	}
	if c.MaxFileBytes == 0 {
		c.MaxFileBytes = defaultMaxFile
	}
	if c.MaxFileBytes < minMaxFile {
		faults = append(faults, fmt.Errorf("max_file_bytes: %d is less than %d", c.MaxFileBytes, minMaxFile))
	}
	if c.CheckpointEvery == 0 {
		c.CheckpointEvery = defaultCheckpointEvery
	}
	if c.CheckpointEvery < 0 {
		faults = append(faults, fmt.Errorf("checkpoint_every: %d is negative", c.CheckpointEvery))
	}
	if c.Sanitize == nil {
		c.Sanitize = redact.Text
	}
	if c.CheckpointAfter == 0 {
		c.CheckpointAfter = defaultCheckpointAfter
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, fmt.Errorf("audit: %w", err)
	}
	return c, nil
}

package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is what a signed note of a trail says: the first Size records end
// with the record whose SHA-256 is Hash. The note's text has three lines, as in
// a transparency log's checkpoint:
//
//	<origin>
//	<size, decimal>
//	<hash, base64>
type Checkpoint struct {
	Origin string // the name of the key that signed
	Size   uint64 // number of records covered
	Hash   string // of the last of them, in hexadecimal
}

// sign returns the signed note over the first size records.
func sign(s note.Signer, size uint64, head digest) (string, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.Name(), size, base64.StdEncoding.EncodeToString(head[:]))
	msg, err := note.Sign(&note.Note{Text: text}, s)
	return string(msg), err
}

// ParseCheckpoint checks the signature of a note, which must be by one of keys
// (verifier keys, "name+hash+key"), and returns what it says.
func ParseCheckpoint(text string, keys ...string) (Checkpoint, error) {
	known, err := verifiers(keys)
	if err != nil {
		return Checkpoint{}, err
	}
	return openNote(text, known)
}

func openNote(text string, known note.Verifiers) (Checkpoint, error) {
	n, err := note.Open([]byte(text), known)
	if err != nil {
		if unsigned, ok := errors.AsType[*note.UnverifiedNoteError](err); ok && len(unsigned.Note.UnverifiedSigs) > 0 {
			s := unsigned.Note.UnverifiedSigs[0]
			return Checkpoint{}, fmt.Errorf("it is signed with the key %s+%08x, which is none of those given", s.Name, s.Hash)
		}
		return Checkpoint{}, err
	}
	c, err := readNote(n.Text)
	if err == nil && c.Origin != n.Sigs[0].Name {
		err = fmt.Errorf("the note is of %q and signed by %q", c.Origin, n.Sigs[0].Name)
	}
	return c, err
}

// readNote reads the text of a note, whoever has signed it.
func readNote(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("the note has not three lines")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("the note's size %q is no number", lines[1])
	}
	var head digest
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(raw) != len(head) {
		return Checkpoint{}, errors.New("the note's hash is no SHA-256 in base64")
	}
	copy(head[:], raw)
	return Checkpoint{Origin: lines[0], Size: size, Hash: head.String()}, nil
}

// verifiers returns the keys in a form that notes are opened with.
func verifiers(keys []string) (note.Verifiers, error) {
	list := make([]note.Verifier, 0, len(keys))
	seen := map[string]bool{}
	for _, k := range keys {
		k = strings.TrimSpace(k)
		if k == "" || seen[k] {
			continue
		}
		seen[k] = true
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", k, err)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, errors.New("no key to verify checkpoints with")
	}
	return note.VerifierList(list...), nil
}

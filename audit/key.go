package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// KeyError says that the private key cannot be used.
type KeyError struct {
	File string // empty if the key was given in the configuration
	Hint string // what a person can do
	Err  error
}

// Error returns the file and what is wrong with it.
func (e *KeyError) Error() string {
	if e.File == "" {
		return "audit key: " + e.Err.Error()
	}
	return fmt.Sprintf("audit key %s: %v", e.File, e.Err)
}

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// loadKey returns the signer and its public key. A key file that is not there
// is made, unless the trail has records: a new key among old records is how a
// forger would begin.
func loadKey(cfg *Config, fresh bool) (note.Signer, string, error) {
	text, file := cfg.Key, ""
	if text == "" {
		file = cfg.KeyFile
		b, err := readKey(file)
		if errors.Is(err, fs.ErrNotExist) && fresh {
			b, err = makeKey(file, cfg.Origin)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", &KeyError{file, "restore the key file, give the key, or move the old trail away and begin a new one", err}
		}
		if err != nil {
			return nil, "", err
		}
		text = strings.TrimSpace(string(b))
	}
	s, err := note.NewSigner(text)
	if err != nil {
		return nil, "", &KeyError{file, "the key is one line that begins with PRIVATE+KEY", errors.New("it is no private key of a note signer")}
	}
	public, err := publicKey(s.Name(), text)
	if err != nil {
		return nil, "", &KeyError{File: file, Err: err}
	}
	return s, public, nil
}

func readKey(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &KeyError{file, "chmod 600 " + file, fmt.Errorf("its mode is %04o: others may read it", info.Mode().Perm())}
	}
	b, err := os.ReadFile(file) //nolint:gosec // the file that the configuration names
	if err != nil {
		return nil, &KeyError{File: file, Err: err}
	}
	return b, nil
}

func makeKey(file, origin string) ([]byte, error) {
	private, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, &KeyError{File: file, Err: err}
	}
	b := []byte(private + "\n")
	if err := replaceFile(file, b, 0o600); err != nil {
		return nil, &KeyError{File: file, Err: err}
	}
	return b, syncDir(filepath.Dir(file))
}

// publicKey derives the verifier key from a signer key, which note.NewSigner
// has accepted: PRIVATE+KEY+name+hash+base64(algorithm, seed).
func publicKey(name, private string) (string, error) {
	parts := strings.SplitN(private, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("it is no ed25519 key")
	}
	public := make(ed25519.PublicKey, ed25519.PublicKeySize)
	copy(public, ed25519.NewKeyFromSeed(raw[1:])[ed25519.SeedSize:])
	return note.NewEd25519VerifierKey(name, public)
}

// publish adds the public key to the file of public keys beside the trail. Keys
// of former writers stay: their checkpoints must be verifiable.
func publish(dir, public string) error {
	file := filepath.Join(dir, publicFile)
	b, err := os.ReadFile(file) //nolint:gosec // beside the trail
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.Fields(string(b))
	if slices.Contains(lines, public) {
		return nil
	}
	return replaceFile(file, []byte(strings.Join(append(lines, public), "\n")+"\n"), 0o644)
}

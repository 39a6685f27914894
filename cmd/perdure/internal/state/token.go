package state

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MinToken and MaxToken bound the length of a token in bytes.
const (
	MinToken = 16
	MaxToken = 1024
)

// tokenBytes are the random bytes of a token that is made here: 256 bits.
const tokenBytes = 32

// PermissionError says that others may read what must be kept secret.
type PermissionError struct {
	Path       string
	Mode, Want fs.FileMode
}

// Error returns the path and both modes.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s: mode is %#o, want at most %#o: others may read it", e.Path, e.Mode, e.Want)
}

// Hint returns the command that mends it.
func (e *PermissionError) Hint() string { return fmt.Sprintf("chmod %#o %s", e.Want, e.Path) }

// Token returns the token in a file, and makes the file with a random one and
// mode 0600 if it is not there; made reports that. It fails if others may read
// the file, or if what is in it is no token.
func Token(path string) (token string, made bool, err error) {
	token, err = ReadToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", false, err
	}
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // it never fails
	token = base64.RawURLEncoding.EncodeToString(b)
	// The name appears with the whole token in it or not at all: of two that
	// make it at once, one wins and both use its token.
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*")
	if err != nil {
		return "", false, err
	}
	_, err = tmp.WriteString(token + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path)
	}
	err = errors.Join(err, os.Remove(tmp.Name()))
	if errors.Is(err, fs.ErrExist) {
		token, err = ReadToken(path)
		return token, false, err
	}
	return token, err == nil, err
}

// ReadToken returns the token in a file that is there.
func ReadToken(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it is only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := private(path, info, 0o600); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxToken+2))
	if err != nil {
		return "", err
	}
	token := strings.TrimRight(string(b), "\r\n")
	if err := CheckToken(token); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// CheckToken returns why a text cannot be a token, or nil: it has 16 to 1,024
// bytes of visible ASCII, so that it fits a header.
func CheckToken(token string) error {
	if len(token) < MinToken || len(token) > MaxToken {
		return fmt.Errorf("a token has %d to %d bytes, this one has %d", MinToken, MaxToken, len(token))
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("byte %d of the token is not a visible ASCII character", i+1)
		}
	}
	return nil
}

package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/perdure/perdure/redact"
)

// maxSecret is the most bytes of a secret.
const maxSecret = 64 << 10

// Secret says where a secret comes from: exactly one of Env and File is set.
// Plans have this, never the value, which is read when a step begins that uses it.
type Secret struct {
	// Name is as that of a Param.
	Name string `json:"name"`
	// Env is an environment variable.
	Env string `json:"env,omitempty"`
	// File has the secret, and perhaps a line end after it.
	File string `json:"file,omitempty"`
}

// Read reads the secret from its environment variable or its file. An empty one
// is an error, since it would never be meant.
func (s Secret) Read() (redact.Secret, error) {
	var value string
	if s.Env != "" {
		value = os.Getenv(s.Env)
	} else {
		f, err := os.Open(s.File)
		if err != nil {
			return redact.Secret{}, err
		}
		defer func() { _ = f.Close() }() // it was only read
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return redact.Secret{}, err
		}
		if len(b) > maxSecret {
			return redact.Secret{}, fmt.Errorf("more than %d bytes", maxSecret)
		}
		b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
		value = string(b)
	}
	if value == "" {
		return redact.Secret{}, errors.New("empty, or not set")
	}
	return redact.NewSecret(value), nil
}

// where says where the secret comes from.
func (s Secret) where() string {
	if s.Env != "" {
		return "environment variable " + s.Env
	}
	return "file " + s.File
}

// revealed are the secrets that a task has used.
type revealed []string

// hide takes them out of a text that others will see. Short ones stand by
// chance in many a text, but better a word too many is gone.
func (r revealed) hide(text string) string {
	for _, s := range r {
		text = strings.ReplaceAll(text, s, redact.Mark)
	}
	return text
}

// shortSecret is the length below which a secret may stand in an output by chance.
const shortSecret = 8

// in reports whether an output holds one of them.
func (r revealed) in(output []byte) bool {
	for _, s := range r {
		if len(s) < shortSecret {
			continue
		}
		quoted, err := marshal(s)
		if err == nil && bytes.Contains(output, quoted[1:len(quoted)-1]) {
			return true
		}
	}
	return false
}

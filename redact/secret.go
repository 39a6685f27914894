package redact

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Secret holds a value that no way of printing shows: fmt with any verb, slog,
// encoding/json, YAML, and a dump of a struct that holds it, in a field that is
// not exported too. (fmt calls no methods on such fields, so that a type made
// of string shows itself there. A Secret holds a func, which prints as an
// address.)
//
// A Secret cannot be compared with ==; use [Secret.Equal]. The zero Secret is
// empty. It may be used concurrently.
type Secret struct{ reveal func() string }

// NewSecret returns a Secret that holds value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return value }}
}

// Reveal returns the value. Call it where the value is used, not earlier.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// IsZero is Empty, for the omitzero of encoding/json and YAML.
func (s Secret) IsZero() bool { return s.Empty() }

// Equal reports whether s holds value, in a time that depends on the lengths
// alone.
func (s Secret) Equal(value string) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(value)) == 1
}

// String returns [Mark], or "" for an empty Secret.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return Mark
}

// Format writes what String returns, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns; encoding/json and others use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML returns what String returns.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalText takes text as the value. It refuses [Mark]: a secret that was
// written redacted cannot be read back.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == Mark {
		return errors.New("redact: the secret was redacted when it was written: give its value")
	}
	*s = NewSecret(string(text))
	return nil
}

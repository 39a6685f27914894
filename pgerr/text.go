package pgerr

import (
	"fmt"
	"slices"
	"strconv"
)

// The words for the constants, in their order: they are metric labels, and
// what YAML, JSON and sqlstate.csv hold. Nothing writes to these arrays.
var (
	categoryWords = [...]string{
		"unknown", "connection", "timeout", "transient", "lock", "resource", "constraint", "syntax", "data",
		"permission", "configuration", "transaction", "readonly", "canceled", "shutdown", "internal", "foreign", "raised",
	}
	severityWords = [...]string{"low", "medium", "high", "critical"}
	retryWords    = [...]string{"never", "statement", "transaction", "reconnect", "wait"}
	effectWords   = [...]string{"none", "unknown"}
	scopeWords    = [...]string{"none", "operation", "database"}
)

// String returns the category's word, such as connection.
func (c Category) String() string { return word(categoryWords[:], "Category", uint8(c)) }

// MarshalText returns the category's word. It fails for a value that is none of the constants.
func (c Category) MarshalText() ([]byte, error) {
	return marshal(categoryWords[:], "category", uint8(c))
}

// UnmarshalText sets the category that the word names. It fails for any other word.
func (c *Category) UnmarshalText(text []byte) error {
	return unmarshal(categoryWords[:], "category", text, c)
}

// String returns the severity's word, such as medium.
func (s Severity) String() string { return word(severityWords[:], "Severity", uint8(s)) }

// MarshalText returns the severity's word. It fails for a value that is none of the constants.
func (s Severity) MarshalText() ([]byte, error) {
	return marshal(severityWords[:], "severity", uint8(s))
}

// UnmarshalText sets the severity that the word names. It fails for any other word.
func (s *Severity) UnmarshalText(text []byte) error {
	return unmarshal(severityWords[:], "severity", text, s)
}

// String returns the word for the way to repeat, such as transaction.
func (r Retry) String() string { return word(retryWords[:], "Retry", uint8(r)) }

// MarshalText returns the word for the way to repeat. It fails for a value that is none of the constants.
func (r Retry) MarshalText() ([]byte, error) { return marshal(retryWords[:], "retry", uint8(r)) }

// UnmarshalText sets the way to repeat that the word names. It fails for any other word.
func (r *Retry) UnmarshalText(text []byte) error {
	return unmarshal(retryWords[:], "retry", text, r)
}

// String returns the effect's word, none or unknown.
func (e Effect) String() string { return word(effectWords[:], "Effect", uint8(e)) }

// MarshalText returns the effect's word. It fails for a value that is none of the constants.
func (e Effect) MarshalText() ([]byte, error) { return marshal(effectWords[:], "effect", uint8(e)) }

// UnmarshalText sets the effect that the word names. It fails for any other word.
func (e *Effect) UnmarshalText(text []byte) error {
	return unmarshal(effectWords[:], "effect", text, e)
}

// String returns the scope's word: none, operation or database.
func (s Scope) String() string { return word(scopeWords[:], "Scope", uint8(s)) }

// MarshalText returns the scope's word. It fails for a value that is none of the constants.
func (s Scope) MarshalText() ([]byte, error) { return marshal(scopeWords[:], "scope", uint8(s)) }

// UnmarshalText sets the scope that the word names. It fails for any other word.
func (s *Scope) UnmarshalText(text []byte) error {
	return unmarshal(scopeWords[:], "scope", text, s)
}

func word(words []string, kind string, v uint8) string {
	if int(v) < len(words) {
		return words[v]
	}
	return kind + "(" + strconv.Itoa(int(v)) + ")"
}

func marshal(words []string, kind string, v uint8) ([]byte, error) {
	if int(v) < len(words) {
		return []byte(words[v]), nil
	}
	return nil, fmt.Errorf("%s %d has no name", kind, v)
}

func unmarshal[T ~uint8](words []string, kind string, text []byte, to *T) error {
	i := slices.Index(words, string(text))
	if i < 0 {
		return fmt.Errorf("unknown %s %q: want one of %q", kind, text, words)
	}
	*to = T(i)
	return nil
}

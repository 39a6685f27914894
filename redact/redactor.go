package redact

import "regexp"

// Redactor redacts by this package's rules and a program's own. The zero
// Redactor has none of the latter. It must not be changed while it is used, and
// may be used concurrently.
type Redactor struct {
	// Patterns are taken out of every text, the outcome of Error and SQL
	// included: what they match is replaced by [Mark].
	Patterns []*regexp.Regexp
	// Trust gives the text of an error of the program's own, which must hold
	// nothing secret; false leaves err to the rules of [Error]. It is asked
	// first for every error of a tree. Nil means none.
	Trust func(err error) (string, bool)
	// Words keeps the words of errors that nobody knows, and of what fmt.Errorf
	// put before others, instead of the names of their types. What stands in quotes
	// is masked, and each word with a digit or an @ in it. That is no proof, as the rules of Error are: it is for
	// texts that go to whoever has the error itself.
	Words bool
}

// Error is [Error] with the program's own rules.
func (r Redactor) Error(err error) string {
	if err == nil {
		return ""
	}
	w := walk{trust: r.Trust, words: r.Words}
	return r.finish(oneLine(w.text(err)))
}

// Text is [Text] with the program's own rules.
func (r Redactor) Text(s string) string { return r.finish(text(s)) }

// SQL is [SQL] with the program's own rules.
func (r Redactor) SQL(sql string) string { return r.finish(SQL(sql)) }

// finish applies the patterns, before the text is cut.
func (r Redactor) finish(s string) string {
	for _, p := range r.Patterns {
		s = p.ReplaceAllLiteralString(s, Mark)
	}
	return bound(s, MaxText)
}

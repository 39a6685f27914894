// Package redact makes what a program says about its database fit for a log:
// error texts, connection strings, SQL and slog records, with the secrets and
// the users' data taken out.
//
// It fails closed. What is kept is what is known to be harmless; everything
// else is replaced by a [Mark], by the type of an error or by the name of a
// condition. The originals stay where they are: redact makes texts, it never
// changes a value.
//
//   - [Error] says what may be said of any error.
//   - [Fields] is what may be kept of an error of the server.
//   - [DSN] hides what is secret in a connection string, [Text] in any text.
//   - [SQL] keeps the shape of a statement and takes its values and comments out.
//   - [Secret] holds a value that no way of printing shows.
//   - [Redactor] adds the program's own patterns, and guards a slog.Handler.
//
// Nothing here holds state; everything may be called concurrently. No function
// panics, whatever an error's methods do, and every text is valid UTF-8 and
// bounded, see [MaxText].
package redact

import (
	"strings"
	"unicode/utf8"
)

// Mark stands where something was taken out.
const Mark = "[redacted]"

// MaxText is how many bytes a text that this package returns has at most.
const MaxText = 4096

// bound returns s as valid UTF-8 of at most limit bytes, the end replaced by …
// if it is longer.
func bound(s string, limit int) string {
	const more = "…"
	if len(s) > limit {
		cut := limit - len(more)
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + more
	}
	return strings.ToValidUTF8(s, "?") // one byte for one or more: it never grows
}

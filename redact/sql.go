package redact

import (
	"strings"
	"unicode/utf8"
)

// SQL returns the shape of a statement, or of several: its words, names and
// operators, with every literal replaced by ?, comments left out and white
// space reduced:
//
//	insert into app.user (email, age) values (?, ?) on conflict do nothing
//
// The lexical rules are those of PostgreSQL ("Lexical Structure" in its
// documentation): standard, escape (E), bit, national and Unicode strings,
// dollar quotes, nested comments, numbers with underscores and in base 2, 8 and
// 16. $1 is kept. What stands in double quotes is a name, and kept up to 63
// bytes.
//
// A text that does not lex has quotes whose sides cannot be told apart, and so
// has one in which a word or a number touches a literal ('O'Brien') or in which
// a quote follows a backslash (its meaning depends on a setting). Of such a
// text nothing is kept but its first word, if that is a command: "select
// [redacted]".
func SQL(sql string) string {
	l := lexer{in: sql}
	if !l.run() {
		return join(" ", command(sql), Mark)
	}
	return bound(strings.TrimSpace(l.out.String()), MaxText)
}

// maxSQL is how much of a statement is looked at; what is longer does not lex.
const maxSQL = 1 << 20

// command returns the first word of sql if it is one that begins a statement.
func command(sql string) string {
	sql = strings.TrimLeft(sql[:min(len(sql), 64)], " \t\r\n(")
	end := 0
	for end < len(sql) && isLetter(sql[end]) {
		end++
	}
	return word(strings.ToLower(sql[:end]),
		"select", "insert", "update", "delete", "merge", "with", "values", "copy", "call", "do", "create", "alter", "drop", "truncate",
		"begin", "start", "commit", "rollback", "savepoint", "release", "prepare", "execute", "deallocate", "declare", "fetch", "move",
		"close", "lock", "set", "reset", "show", "explain", "analyze", "vacuum", "grant", "revoke", "listen", "notify", "refresh",
		"comment", "reindex", "cluster", "import", "discard", "checkpoint", "security")
}

// lexer reads SQL by the rules of PostgreSQL and writes its shape.
type lexer struct {
	in  string
	pos int
	out strings.Builder
}

// run reports whether all of the text was read.
func (l *lexer) run() bool {
	if len(l.in) > maxSQL || !utf8.ValidString(l.in) {
		return false
	}
	for l.pos < len(l.in) {
		if !l.token() {
			return false
		}
	}
	return true
}

// at returns the byte n places on, 0 past the end.
func (l *lexer) at(n int) byte {
	if l.pos+n < len(l.in) {
		return l.in[l.pos+n]
	}
	return 0
}

func (l *lexer) token() bool {
	switch c := l.at(0); {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		l.pos++
		l.space()
		return true
	case c == '-' && l.at(1) == '-':
		return l.lineComment()
	case c == '/' && l.at(1) == '*':
		return l.comment()
	case c == '\'':
		return l.literal(false)
	case c == '"':
		return l.quotedName()
	case c == '$':
		return l.dollar()
	case isDigit(c) || c == '.' && isDigit(l.at(1)):
		return l.number()
	case isNameStart(c):
		return l.name()
	case strings.IndexByte("()[],;:.~!@#^&|`?+-*/%<>=", c) >= 0:
		l.pos++
		l.out.WriteByte(c)
		return true
	}
	return false
}

// space writes one space, whatever was there.
func (l *lexer) space() {
	if s := l.out.String(); s != "" && s[len(s)-1] != ' ' {
		l.out.WriteByte(' ')
	}
}

func (l *lexer) lineComment() bool {
	l.space()
	n := strings.IndexAny(l.in[l.pos:], "\r\n")
	if n < 0 {
		n = len(l.in) - l.pos
	}
	l.pos += n
	return true
}

// comment leaves out a comment with those nested in it.
func (l *lexer) comment() bool {
	l.space()
	for depth := 0; l.pos < len(l.in); {
		switch {
		case l.at(0) == '/' && l.at(1) == '*':
			depth++
			l.pos += 2
		case l.at(0) == '*' && l.at(1) == '/':
			depth--
			l.pos += 2
		default:
			l.pos++
		}
		if depth == 0 {
			return true
		}
	}
	return false
}

// literal reads a string from its opening quote. A backslash escapes in an
// escape string alone; elsewhere it does if standard_conforming_strings is
// off, so that a backslash before a quote leaves the end open.
func (l *lexer) literal(escapes bool) bool {
	for l.pos++; l.pos < len(l.in); l.pos++ {
		switch c := l.at(0); {
		case c == '\\' && escapes:
			l.pos++
		case c == '\\' && l.at(1) == '\'':
			return false
		case c == '\'' && l.at(1) == '\'':
			l.pos++
		case c == '\'':
			l.pos++
			return l.value()
		}
	}
	return false
}

// value writes the place holder of a value that ends here. A name, a number or
// a quote that begins at once shows that its end was not meant.
func (l *lexer) value() bool {
	if c := l.at(0); isNameStart(c) || isDigit(c) || c == '\'' || c == '"' || c == '$' || c == '\\' {
		return false
	}
	l.out.WriteByte('?')
	return true
}

func (l *lexer) quotedName() bool {
	start := l.pos
	for l.pos++; l.pos < len(l.in); l.pos++ {
		if l.at(0) != '"' {
			continue
		}
		if l.at(1) == '"' {
			l.pos++
			continue
		}
		l.pos++
		s := l.in[start:l.pos]
		if len(s) > maxName+2 || s != oneLine(s) {
			s = `"?"`
		}
		l.out.WriteString(s)
		c := l.at(0)
		return !isNameStart(c) && !isDigit(c) && c != '\''
	}
	return false
}

// dollar reads a parameter or a dollar-quoted string.
func (l *lexer) dollar() bool {
	start := l.pos
	l.pos++
	if isDigit(l.at(0)) {
		for isDigit(l.at(0)) {
			l.pos++
		}
		l.out.WriteString(l.in[start:l.pos])
		c := l.at(0)
		return !isNameStart(c) && c != '\'' && c != '"' && c != '$'
	}
	for isNameStart(l.at(0)) || l.pos > start+1 && isDigit(l.at(0)) {
		l.pos++
	}
	if l.at(0) != '$' {
		return false
	}
	l.pos++
	tag := l.in[start:l.pos]
	n := strings.Index(l.in[l.pos:], tag)
	if n < 0 {
		return false
	}
	l.pos += n + len(tag)
	return l.value()
}

// number reads digits and all that may belong to them: a point, an exponent
// with its sign, a base, underscores, and junk that touches them.
func (l *lexer) number() bool {
	for ; l.pos < len(l.in); l.pos++ {
		c := l.at(0)
		if (c == '+' || c == '-') && (l.in[l.pos-1] == 'e' || l.in[l.pos-1] == 'E') && isDigit(l.at(1)) {
			continue
		}
		if !isDigit(c) && !isNameStart(c) && c != '.' {
			break
		}
	}
	return l.value()
}

// name reads a word, or the prefix of a literal.
func (l *lexer) name() bool {
	start := l.pos
	for isNameStart(l.at(0)) || isDigit(l.at(0)) || l.at(0) == '$' {
		l.pos++
	}
	s := l.in[start:l.pos]
	lower := strings.ToLower(s)
	switch c := l.at(0); {
	case c == '\'' && lower == "e":
		return l.literal(true)
	case c == '\'' && (lower == "b" || lower == "x" || lower == "n"):
		return l.literal(false)
	case lower == "u" && c == '&' && l.at(1) == '\'':
		l.pos++
		return l.literal(false)
	case lower == "u" && c == '&' && l.at(1) == '"':
		l.pos++
		return l.quotedName()
	case c == '\'' || c == '"':
		return false
	}
	if len(s) > maxName {
		s = "?"
	}
	l.out.WriteString(s)
	return true
}

func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isLetter(c byte) bool    { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isNameStart(c byte) bool { return isLetter(c) || c == '_' || c >= utf8.RuneSelf }

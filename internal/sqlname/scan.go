package sqlname

import "strings"

// tokens splits a statement into words, single characters and quoted names,
// without comments and literals.
type tokens struct {
	s string
	i int
}

// rest returns the next byte that is not space, without taking it; zero at the end.
func (t *tokens) rest() byte {
	t.skip()
	if t.i < len(t.s) {
		return t.s[t.i]
	}
	return 0
}

// next returns the next token; "" at the end. A literal is "'".
func (t *tokens) next() string {
	c := t.rest()
	if c == 0 {
		return ""
	}
	start := t.i
	switch {
	case c == '\'':
		t.quoted('\'', start > 0 && (t.s[start-1]|0x20) == 'e')
		return "'"
	case c == '"':
		t.quoted('"', false)
		return strings.ReplaceAll(strings.Trim(t.s[start:t.i], `"`), `""`, `"`)
	case c == '$' && t.dollar():
		return "'"
	case wordByte(c):
		for t.i < len(t.s) && (wordByte(t.s[t.i]) || t.s[t.i] == '$') {
			t.i++
		}
		return t.s[start:t.i]
	default:
		t.i++
		return t.s[start:t.i]
	}
}

func wordByte(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= 0x80
}

// skip passes over space and comments; block comments nest.
func (t *tokens) skip() {
	for t.i < len(t.s) {
		rest := t.s[t.i:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			t.i++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				t.i = len(t.s)
				return
			}
			t.i += end + 1
		case strings.HasPrefix(rest, "/*"):
			t.block()
		default:
			return
		}
	}
}

func (t *tokens) block() {
	depth := 0
	for t.i < len(t.s) {
		rest := t.s[t.i:]
		switch {
		case strings.HasPrefix(rest, "/*"):
			depth++
			t.i += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			t.i += 2
			if depth == 0 {
				return
			}
		default:
			t.i++
		}
	}
}

// quoted passes over a quoted string or name; a doubled quote is part of it.
func (t *tokens) quoted(q byte, escapes bool) {
	t.i++
	for t.i < len(t.s) {
		switch {
		case escapes && t.s[t.i] == '\\':
			t.i += 2
		case t.s[t.i] != q:
			t.i++
		case t.i+1 < len(t.s) && t.s[t.i+1] == q:
			t.i += 2
		default:
			t.i++
			return
		}
	}
	t.i = len(t.s)
}

// dollar passes over a dollar-quoted string. It reports false for a parameter.
func (t *tokens) dollar() bool {
	end := t.i + 1
	for end < len(t.s) && wordByte(t.s[end]) {
		end++
	}
	if end >= len(t.s) || t.s[end] != '$' || end > t.i+1 && t.s[t.i+1] >= '0' && t.s[t.i+1] <= '9' {
		return false
	}
	tag := t.s[t.i : end+1]
	if n := strings.Index(t.s[end+1:], tag); n >= 0 {
		t.i = end + 1 + n + len(tag)
	} else {
		t.i = len(t.s)
	}
	return true
}

// IsPlain reports whether sql is a single statement that either happens or
// does not. Verbs that may commit on their way, and strings that hold more than
// one statement, are not.
func IsPlain(sql string) bool {
	t := tokens{s: sql}
	switch strings.ToLower(t.next()) {
	case "select", "insert", "update", "delete", "merge", "values", "with", "table":
	default:
		return false
	}
	for {
		switch t.next() {
		case "":
			return true
		case ";":
			for {
				switch t.next() {
				case "":
					return true
				case ";":
				default:
					return false
				}
			}
		}
	}
}

// EndsInside reports whether sql would end the transaction that it runs in.
// END is looked for only at the very beginning: it also closes the body of a
// function in standard SQL.
func EndsInside(sql string) bool {
	t := tokens{s: sql}
	if word := t.next(); strings.EqualFold(word, "end") || t.ends(word) {
		return true
	}
	if strings.IndexByte(sql, ';') < 0 {
		return false
	}
	for word := t.next(); word != ""; {
		first := word == ";"
		if word = t.next(); first && t.ends(word) {
			return true
		}
	}
	return false
}

// Verb returns the first word of sql, in lower case.
func Verb(sql string) string {
	t := tokens{s: sql}
	return strings.ToLower(t.next())
}

// ends reports whether a statement that begins with verb ends a transaction.
func (t *tokens) ends(verb string) bool {
	switch {
	case strings.EqualFold(verb, "commit"):
		return !strings.EqualFold(t.next(), "prepared")
	case strings.EqualFold(verb, "abort"):
		return true
	case strings.EqualFold(verb, "prepare"):
		return strings.EqualFold(t.next(), "transaction")
	case strings.EqualFold(verb, "rollback"):
		word := t.next()
		if strings.EqualFold(word, "work") || strings.EqualFold(word, "transaction") {
			word = t.next()
		}
		return !strings.EqualFold(word, "to") && !strings.EqualFold(word, "prepared")
	}
	return false
}

// MayNotify reports whether sql holds the word notify, in any case.
func MayNotify(sql string) bool {
	for {
		i := strings.IndexAny(sql, "nN")
		if i < 0 || len(sql)-i < len("notify") {
			return false
		}
		if strings.EqualFold(sql[i:i+len("notify")], "notify") {
			return true
		}
		sql = sql[i+1:]
	}
}

// EndsTx reports whether sql begins or ends a transaction.
func EndsTx(sql string) bool {
	t := tokens{s: sql[:min(len(sql), maxScan)]}
	switch strings.ToLower(t.next()) {
	case "begin", "start", "commit", "end", "rollback", "abort":
		return true
	}
	return false
}

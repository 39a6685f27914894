package builtin

import (
	"strings"
)

// splitSQL splits a script at the semicolons that end statements: not those in
// texts, names, comments, dollar quotes, parentheses (rules have them), or bodies of functions in
// SQL (BEGIN ATOMIC … END).
func splitSQL(text string) []statement {
	var out []statement
	begin, depth, atomic, cases := 0, 0, false, 0
	cut := func(end int) {
		from := begin + blank(text[begin:end])
		if s := strings.TrimSpace(text[from:end]); s != "" {
			out = append(out, statement{s, 1 + strings.Count(text[:from], "\n")})
		}
	}
	last := "" // word
	for i := 0; i < len(text); {
		if n := skipped(text[i:], i > 0 && isWord(text[i-1])); n > 0 {
			i += n
			continue
		}
		switch c := text[i]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ';' && depth <= 0 && !atomic:
			cut(i)
			begin, depth, last = i+1, 0, ""
		case isWord(c):
			n := 1
			for i+n < len(text) && isWord(text[i+n]) {
				n++
			}
			word := strings.ToLower(text[i : i+n])
			switch {
			case word == "atomic" && last == "begin":
				atomic, cases = true, 0
			case word == "case" && atomic:
				cases++
			case word == "end" && atomic && cases > 0:
				cases--
			case word == "end" && atomic:
				atomic = false
			}
			last = word
			i += n
			continue
		}
		i++
	}
	cut(len(text))
	return out
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// blank returns the length of the spaces and comments that s begins with.
func blank(s string) int {
	i := 0
	for i < len(s) {
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(s[i])):
			i++
		case strings.HasPrefix(s[i:], "--"), strings.HasPrefix(s[i:], "/*"):
			i += skipped(s[i:], false)
		default:
			return i
		}
	}
	return i
}

// skipped returns the length of what s begins with, if that is a text, a name in
// quotes, a dollar quote or a comment, else 0. What is not closed goes to the end.
func skipped(s string, inWord bool) int {
	until := func(open, end string) int {
		if i := strings.Index(s[len(open):], end); i >= 0 {
			return len(open) + i + len(end)
		}
		return len(s)
	}
	switch {
	case strings.HasPrefix(s, "--"):
		return until("--", "\n")
	case strings.HasPrefix(s, "/*"):
		return comment(s)
	case s[0] == '"':
		return until(`"`, `"`) // a doubled quote begins another
	case s[0] == '\'':
		return until("'", "'")
	case !inWord && len(s) > 1 && (s[0] == 'e' || s[0] == 'E') && s[1] == '\'':
		return escaped(s)
	case !inWord && s[0] == '$':
		if tag := dollar(s); tag != "" {
			return until(tag, tag)
		}
	}
	return 0
}

// comment returns the length of a comment, which may hold others.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// escaped returns the length of E'…', in which a backslash hides a quote.
func escaped(s string) int {
	for i := 2; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			return i + 1
		}
	}
	return len(s)
}

// dollar returns the tag of a dollar quote, $$ or $name$, or "".
func dollar(s string) string {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			return s[:i+1]
		case !isWord(c) || i == 1 && c >= '0' && c <= '9':
			return ""
		}
	}
	return ""
}

func firstWord(s string) string {
	if strings.HasPrefix(s, `\`) {
		return strings.Fields(s)[0]
	}
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	if n == 0 && s != "" {
		return s[:1]
	}
	return s[:n]
}

func secondWord(s string) string {
	rest := s[len(firstWord(s)):]
	return firstWord(rest[blank(rest):])
}

package redact

import (
	"regexp"
	"slices"
	"strings"
)

// Text returns s with the secrets taken out that can be recognised in free
// text: connection strings wherever they stand, as [DSN] redacts them; values
// of keys that name a secret (password=…, PGPASSWORD=…, "token": "…"), as
// [SecretKey] knows them; Authorization headers; and the messages of errors of the server
// that were made into text, of which the SQLSTATE and its condition remain.
//
// Text cannot know what else is secret: give errors to [Error], SQL to [SQL]
// and secrets to [Secret]. Where the end of a secret is not certain, all that
// follows is taken out.
func Text(s string) string { return Redactor{}.Text(s) }

// maxInput is how much of a text is looked at; the rest is cut off.
const maxInput = 1 << 16

func text(s string) string {
	if len(s) > maxInput {
		s = s[:maxInput]
	}
	s = strings.ToValidUTF8(s, "?")
	s = serverTexts(s)
	s = urlsIn(s)
	return passLine.ReplaceAllLiteralString(pairsIn(s), Mark)
}

var (
	stateText = regexp.MustCompile(`\(SQLSTATE ([0-9A-Z]{5})\)`)
	schemeAt  = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]{0,30}://`)
	keyAt     = regexp.MustCompile(`(?i)(?:\bpass|[\w.%-]*(?:pass(?:word|wd|file|phrase|code)|pwd|secret|token|api[_-]?key|private[_-]?key|credential|authorization)[\w%-]*)["']?[ \t]*(?:=>|:=|[=:])`)
	passLine  = regexp.MustCompile(`[\w.*-]+:(?:\d{1,5}|\*):[\w.*-]+:[\w.*-]+:[^\r\n]+`) // of ~/.pgpass
	bearerAt  = regexp.MustCompile(`(?i)\b(?:bearer|basic|digest)[ \t]+[A-Za-z0-9._~+/=-]{8,}`)
)

// serverTexts replaces a text that holds messages of the server by their
// conditions: where a message begins and what it quotes cannot be seen.
func serverTexts(s string) string {
	found := stateText.FindAllStringSubmatch(s, -1)
	if len(found) == 0 {
		if i := strings.Index(s, "pq: "); i >= 0 && (i == 0 || s[i-1] == ' ' || s[i-1] == '\n') && !constant(s[i:]) {
			return s[:i] + "pq: " + Mark
		}
		return s
	}
	var parts []string
	for _, m := range found {
		p := condition(m[1]) + " " + m[0]
		if len(parts) == 0 || parts[len(parts)-1] != p {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "; ")
}

// urlsIn redacts URLs of connections. One ends at white space or a quote, but
// not before the last @ that follows: a password may hold anything if nobody
// escaped it. What is malformed ends the text. Of URLs of other schemes those
// that hold an @ keep their scheme alone.
func urlsIn(s string) string {
	var b strings.Builder
	for {
		at := schemeAt.FindStringIndex(s)
		if at == nil {
			break
		}
		b.WriteString(s[:at[0]])
		s = s[at[0]:]
		const ends = " \t\r\n`'\"<>()"
		end := strings.IndexAny(s, ends)
		if end < 0 {
			end = len(s)
		}
		if scheme, _, _ := strings.Cut(s, "://"); !strings.EqualFold(scheme, "postgres") && !strings.EqualFold(scheme, "postgresql") {
			if strings.IndexByte(s[:end], '@') >= 0 {
				b.WriteString(scheme + "://" + Mark)
			} else {
				b.WriteString(s[:end])
			}
			s = s[end:]
			continue
		}
		limit := len(s)
		after := at[1] - at[0] // past the scheme
		if next := schemeAt.FindStringIndex(s[after:]); next != nil && strings.IndexByte(s[:end], '@') >= 0 {
			limit = after + next[0]
		}
		if last := strings.LastIndexByte(s[:limit], '@'); last >= end {
			end = len(s)
		}
		safe := DSN(s[:end])
		b.WriteString(safe)
		if strings.HasSuffix(safe, "://"+Mark) {
			return b.String() // where the secret ends is not known
		}
		s = s[end:]
	}
	b.WriteString(s)
	return b.String()
}

// pairsIn redacts the values of keys that name a secret.
func pairsIn(s string) string {
	s = bearerAt.ReplaceAllString(s, Mark)
	var b strings.Builder
	for {
		at := keyAt.FindStringIndex(s)
		if at == nil {
			break
		}
		b.WriteString(s[:at[1]] + Mark)
		s = strings.TrimLeft(s[at[1]:], " \t")
		s = strings.TrimPrefix(s, Mark) // was redacted before
		rest, ok := afterValue(s)
		if !ok {
			return b.String()
		}
		s = rest
	}
	b.WriteString(s)
	return b.String()
}

// afterValue returns what follows the value at the start of s; false if its
// end is not certain. A value that is not quoted ends at white space, and what
// follows it must be another pair, or nothing: a password with a blank in it
// that nobody quoted would go on.
func afterValue(s string) (rest string, ok bool) {
	if s == "" {
		return "", true
	}
	if q := s[0]; q == '\'' || q == '"' {
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case q:
				if i+1 < len(s) && strings.IndexByte(" \t\r\n,;}])", s[i+1]) < 0 {
					return "", false
				}
				return s[i+1:], true
			}
		}
		return "", false
	}
	end := strings.IndexAny(s, " \t\r\n&")
	if end < 0 {
		return "", true
	}
	rest = s[end:]
	return rest, nextPair.MatchString(rest)
}

var nextPair = regexp.MustCompile(`^(?:[ \t&]+[A-Za-z_][\w.-]*=|[ \t]*\r?\n|[ \t]*$)`)

// SecretKey reports whether the name of a field, an option or a variable says
// that its value is a secret: one that holds password, passwd, passphrase,
// passcode, passfile, passkey, pgpass, pwd, secret, token, api_key, private_key,
// credential, authorization, cookie, dsn, conn_string or database_url, or the
// word pass, in any case and spelling.
func SecretKey(key string) bool {
	words := strings.FieldsFunc(strings.ToLower(key), func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ' ' })
	flat := strings.Join(words, "")
	for _, part := range []string{
		"password", "passwd", "passphrase", "passcode", "passfile", "passkey", "pgpass", "pwd", "secret", "token", "apikey",
		"privatekey", "credential", "authorization", "cookie", "dsn", "connstring", "databaseurl",
	} {
		if strings.Contains(flat, part) {
			return true
		}
	}
	return slices.Contains(words, "pass")
}

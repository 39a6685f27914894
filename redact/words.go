package redact

import "strings"

// masked returns the words of s without what may be data: what stands in
// quotes, and words that hold a digit or an @. From a quote that does not end
// on, all is taken out.
func masked(s string) string {
	s = bound(oneLine(text(s)), maxMessage)
	var b strings.Builder
	for s != "" {
		at := nextQuote(s)
		maskWords(&b, s[:at])
		if at == len(s) {
			break
		}
		b.WriteString(Mark)
		end := strings.IndexByte(s[at+1:], s[at])
		if end < 0 {
			break
		}
		s = s[at+1+end+1:]
	}
	return b.String()
}

// nextQuote returns where the next quote begins, or the length of s. An
// apostrophe within a word is none.
func nextQuote(s string) int {
	for i := range len(s) {
		switch s[i] {
		case '"', '`':
			return i
		case '\'':
			if i == 0 || i+1 == len(s) || !letter(s[i-1]) || !letter(s[i+1]) {
				return i
			}
		}
	}
	return len(s)
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// maskWords writes s with every word masked that holds a digit or an @; the
// colon or comma after it stays. Several in a row get one mark: how many they
// were helps nobody who reads.
func maskWords(b *strings.Builder, s string) {
	masked := ""
	for word := range strings.SplitAfterSeq(s, " ") {
		core := strings.TrimRight(word, " :;,.")
		if !strings.ContainsAny(core, "0123456789@") {
			b.WriteString(masked + word)
			masked = ""
			continue
		}
		if masked != Mark+" " {
			b.WriteString(masked)
		}
		masked = Mark + word[len(core):]
	}
	b.WriteString(masked)
}

package arch

import (
	"fmt"
	"regexp"
	"strings"
)

// MaxLines is the length at which a file that a person wrote fails; LongLines
// is where it should have been split.
const (
	MaxLines  = 600
	LongLines = 400
)

// Lengths returns the Go files with more than limit lines, generated ones left
// out.
func (t *Tree) Lengths(limit int) []Finding {
	var out []Finding
	for _, f := range t.files {
		if !f.isGo() || f.generated() {
			continue
		}
		if n := strings.Count(f.text, "\n"); n > limit {
			out = append(out, Finding{f.name, 0, fmt.Sprintf("%d lines, at most %d: split it by idea", n, limit)})
		}
	}
	return out
}

// Markers checks the text of all files for notes to oneself and for places that
// exist on one machine only.
func (t *Tree) Markers() []Finding {
	// The words are put together here so that this file does not find itself.
	note := regexp.MustCompile(`(^|[\s/*#;<"])(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX"}, "|") + `)\b`)
	place := regexp.MustCompile(`(^|[^\w./-])/` + `work/|\.\./` + `shared\b|/tmp/` + `bash_jobs`)
	host := regexp.MustCompile(`\b(proxy\.` + `golang\.org|deb\.` + `debian\.org|registry\.` + `npmjs\.org)\b`)
	conflict := regexp.MustCompile(`^(<{7}|>{7}) `)
	rules := []struct {
		re   *regexp.Regexp
		text string
	}{
		{note, "no notes to oneself: do it, or open an issue"},
		{place, "a path of one machine"},
		{host, "the host of a registry: name the package, not where it comes from"},
		{conflict, "a merge that was not finished"},
	}
	var out []Finding
	for _, f := range t.files {
		for i, line := range strings.Split(f.text, "\n") {
			for _, r := range rules {
				if m := r.re.FindString(line); m != "" {
					out = append(out, Finding{f.name, i + 1, fmt.Sprintf("%q: %s", strings.TrimSpace(m), r.text)})
				}
			}
		}
	}
	return out
}

// Readme checks that the front page names the commands that a newcomer needs.
func (t *Tree) Readme() []Finding {
	f, ok := t.find("README.md")
	if !ok {
		return []Finding{{"README.md", 0, "missing"}}
	}
	var out []Finding
	for _, command := range []string{"make demo", "make test"} {
		if !strings.Contains(f.text, command) {
			out = append(out, Finding{f.name, 0, fmt.Sprintf("does not name %q", command)})
		}
	}
	return out
}

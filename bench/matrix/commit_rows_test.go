package matrix

import (
	"strings"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/pgerr"
)

const groupCommit = "At a COMMIT"

// isCommit reports whether a message ends in COMMIT, however it is sent.
func isCommit(sql string) bool {
	return strings.HasSuffix(strings.TrimRight(strings.ToLower(sql), "; \n"), "commit")
}

func commitMessage() faultproxy.Match {
	return faultproxy.Match{Message: faultproxy.Run, Text: isCommit}
}

func commitReply() faultproxy.Match {
	return faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("commit")}
}

// strikes is how often a rule strikes in one cell.
const strikes = 5

// cutting brings a fault of the connection about, until it has struck often enough.
func cutting(r faultproxy.Rule) func(p *place) (func(), func() bool) {
	return func(p *place) (func(), func() bool) {
		r.Name, r.Count = p.row.name, strikes
		h := p.rule(r)
		return h.Remove, func() bool { return h.Hits() == strikes }
	}
}

func commitRows() []row {
	return []row{
		{
			name: "commit-lost", group: groupCommit, title: "the connection is reset before COMMIT reaches the server",
			strike: cutting(faultproxy.Rule{Match: commitMessage(), Action: faultproxy.RST}),
			want:   expectation{categories: []pgerr.Category{pgerr.CategoryConnection}, outcomes: []perdure.Resolution{perdure.Aborted}, database: no},
		},
		{
			name: "commit-reply-lost", group: groupCommit, title: "the connection ends after COMMIT, before its reply",
			strike: cutting(faultproxy.Rule{Match: commitReply(), Action: faultproxy.FIN}),
			want:   expectation{outcomes: []perdure.Resolution{perdure.Committed}, database: no},
		},
		{
			name: "commit-reply-reset", group: groupCommit, title: "the connection is reset after COMMIT, before its reply",
			strike: cutting(faultproxy.Rule{Match: commitReply(), Action: faultproxy.RST}),
			want:   expectation{outcomes: []perdure.Resolution{perdure.Committed}, database: no},
		},
		{
			name: "commit-reply-swallowed", group: groupCommit, title: "nothing comes back after COMMIT, and the connection stays",
			strike: cutting(faultproxy.Rule{Match: commitReply(), Action: faultproxy.BlackHole}),
			want:   expectation{outcomes: []perdure.Resolution{perdure.Committed}, database: no},
			slow:   true,
		},
		{
			name: "statement-reply-lost", group: groupCommit, title: "the connection ends after a single INSERT, before its reply",
			only:   statements,
			strike: cutting(faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.HasPrefix("insert")}, Action: faultproxy.FIN}),
			want:   expectation{categories: []pgerr.Category{pgerr.CategoryConnection}, statements: true, database: no},
		},
	}
}

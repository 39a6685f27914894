package chaos

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/faultproxy"
)

// Level is how much is broken.
type Level string

// The levels.
const (
	Off    Level = "off"
	Mild   Level = "mild"
	Severe Level = "severe"
)

// Counts is what happened, by kind.
type Counts struct {
	PostmasterKills       int `json:"postmaster_kills"`
	ImmediateStops        int `json:"immediate_stops"`
	BackendKills          int `json:"backend_kills"`
	CommitRepliesLost     int `json:"commit_replies_lost"`
	CutBeforeCommit       int `json:"cut_before_commit"`
	Deadlocks             int `json:"deadlocks"`
	SerializationFailures int `json:"serialization_failures"`
}

// AtLeast reports whether each kind happened at least as often as in min;
// deadlocks and serialization failures count together.
func (c Counts) AtLeast(m Counts) bool {
	return c.PostmasterKills >= m.PostmasterKills && c.ImmediateStops >= m.ImmediateStops &&
		c.BackendKills >= m.BackendKills && c.CommitRepliesLost >= m.CommitRepliesLost &&
		c.CutBeforeCommit >= m.CutBeforeCommit &&
		c.Deadlocks+c.SerializationFailures >= m.Deadlocks+m.SerializationFailures
}

// SevereMinimum is what a run of some 700 transactions meets at least at the
// level Severe.
func SevereMinimum() Counts {
	return Counts{
		PostmasterKills: 3, ImmediateStops: 1, BackendKills: 3,
		CommitRepliesLost: 100, CutBeforeCommit: 100, Deadlocks: 20,
	}
}

type kind string

const (
	killPostmaster kind = "kill -9 of the postmaster"
	killBackend    kind = "kill -9 of a backend"
	stopImmediate  kind = "immediate stop"
)

// strike is something done to the server itself, at a COMMIT.
type strike struct {
	at   int64 // number of the COMMIT
	kind kind
	down time.Duration // between the end of the server and its start
	pid  int           // of the backend that got the COMMIT
}

// plan is what a level means.
type plan struct {
	lost, cut float64 // share of the COMMITs
	strikes   []kind  // in an order that the seed shuffles
	every     int64   // COMMITs from one to the next, about
	deadlocks int     // to be made, at most
}

func plans() map[Level]plan {
	return map[Level]plan{
		Off:  {},
		Mild: {lost: 0.02, cut: 0.02, strikes: []kind{killPostmaster, killBackend}, every: 200, deadlocks: 3},
		Severe: {
			lost: 0.21, cut: 0.18, every: 60, deadlocks: 30,
			strikes: []kind{
				killPostmaster, killPostmaster, killPostmaster, killPostmaster, stopImmediate,
				killBackend, killBackend, killBackend, killBackend,
			},
		},
	}
}

// schedule gives each strike its COMMIT: every so many, give or take a third.
// The first comes early, so that a small job meets one too.
func (p plan) schedule(rng *rand.Rand) []strike {
	kinds := slices.Clone(p.strikes)
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	out := make([]strike, 0, len(kinds))
	for i, k := range kinds {
		at := int64(i)*p.every + p.every/3 + rng.Int64N(p.every/3+1)
		down := 200*time.Millisecond + time.Duration(rng.Int64N(int64(400*time.Millisecond)))
		out = append(out, strike{at: at, kind: k, down: down})
	}
	return out
}

const (
	ruleLost     = "commit reply lost"
	ruleCut      = "cut before COMMIT"
	ruleCommit   = "commit"
	ruleConflict = "conflict"
)

// endsInCommit fits a COMMIT that is sent alone, and one that is sent behind
// other statements in the same message.
func endsInCommit(sql string) bool {
	sql = strings.ToLower(strings.TrimRight(sql, "; \t\r\n"))
	before, ok := strings.CutSuffix(sql, "commit")
	return ok && (before == "" || strings.ContainsAny(before[len(before)-1:], "; \t\r\n"))
}

// rules cut a connection before the server sees its COMMIT, or after it has
// committed and before the client hears of it: half of them with FIN, half
// with RST. The rest only count.
func (p plan) rules() []faultproxy.Rule {
	commit := faultproxy.Match{Message: faultproxy.Run, Text: endsInCommit}
	done := faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}
	conflict := faultproxy.Match{
		Message: faultproxy.ErrorResponse,
		Text:    func(state string) bool { return state == "40P01" || state == "40001" },
	}
	return []faultproxy.Rule{
		{Name: ruleCut + " (FIN)", Match: commit, Action: faultproxy.FIN, Probability: p.cut / 2},
		{Name: ruleCut + " (RST)", Match: commit, Action: faultproxy.RST, Probability: p.cut / 2},
		{Name: ruleCommit, Match: commit, When: faultproxy.After},
		{Name: ruleLost + " (FIN)", Match: done, Action: faultproxy.FIN, Probability: p.lost / 2},
		{Name: ruleLost + " (RST)", Match: done, Action: faultproxy.RST, Probability: p.lost / 2},
		{Name: ruleConflict, Match: conflict, When: faultproxy.After},
	}
}

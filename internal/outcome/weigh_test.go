package outcome

import (
	"testing"

	"github.com/perdure/perdure"
)

func TestWeighStatus(t *testing.T) {
	t.Parallel()
	old := Incarnation{system: "7", timeline: "1", started: "100", walReset: "90", bgReset: "91"}
	restarted, crashed, reset, promoted, foreign := old, old, old, old, old
	restarted.started = "200"
	crashed.walReset, crashed.bgReset = "200", "200"
	reset.walReset = "200" // pg_stat_reset_shared('wal'), by a person
	promoted.timeline, promoted.walReset, promoted.bgReset = "2", "200", "200"
	foreign.system = "8"
	const ask = perdure.Resolution("")
	for name, tc := range map[string]struct {
		now        Incarnation
		status     string
		next, seen string // of the checkpoint
		want       perdure.Resolution
	}{
		"committed, same life":                             {old, "committed", "0:50", "1", perdure.Committed},
		"committed, after a clean restart":                 {restarted, "committed", "0:50", "9", perdure.Committed},
		"committed, after a crash, not given back":         {crashed, "committed", "0:101", "1", perdure.Undecided},
		"committed, after a crash, given back":             {crashed, "committed", "0:100", "1", perdure.Aborted},
		"committed, after a crash, more checkpoints since": {crashed, "committed", "0:100", "2", perdure.Undecided},
		"committed, statistics reset by a person":          {reset, "committed", "0:100", "1", perdure.Undecided},
		"committed, after a failover":                      {promoted, "committed", "0:100", "1", perdure.Undecided},
		"aborted, same life":                               {old, "aborted", "0:50", "1", perdure.Aborted},
		"aborted, after a failover":                        {promoted, "aborted", "0:50", "1", perdure.Aborted},
		"in the future, after a crash":                     {crashed, statusFuture, "0:50", "1", perdure.Aborted},
		"in progress, same life":                           {old, "in progress", "0:50", "1", ask},
		"in progress, after what may be only a reset":      {reset, "in progress", "0:50", "1", ask},
		"too old":                     {old, "", "0:50", "1", perdure.Undecided},
		"aborted, but another system": {foreign, "aborted", "0:50", "1", perdure.Undecided},
		"committed, after a crash, epoch beyond 32 bits":      {crashed, "committed", "1:0", "1", perdure.Undecided},
		"committed, after a crash, checkpoint not to be read": {crashed, "committed", "", "1", perdure.Undecided},
	} {
		got := weigh(Doubt{XID: 100, In: old}, tc.now, tc.status, []string{tc.next, tc.seen})
		if got.Resolution != tc.want {
			t.Errorf("%s = %q (%s), want %q", name, got.Resolution, got.Evidence, tc.want)
		}
	}
	if got := weigh(Doubt{XID: 100}, Incarnation{}, "committed", []string{"", ""}); got.Resolution != perdure.Undecided {
		t.Errorf("without an identity = %q, want unknown", got.Resolution)
	}
}

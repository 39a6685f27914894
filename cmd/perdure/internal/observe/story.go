package observe

import (
	"time"

	"github.com/perdure/perdure"
)

// How long after the last line of a story the next one may come: of one that
// belongs to an outage, and of one that goes on beside everything else.
const (
	apart       = 5 * time.Second
	apartBeside = time.Minute
)

// Story is what a reader of a page needs of the log: lines that tell the same,
// second after second, as one with their sum.
type Story struct {
	Event    // Count and Text of all of them; the ID is that of the first
	From, To time.Time
}

// Stories returns the log as stories, in the order in which they began. What an
// outage does to all operations alike is one story; that the budget was spent is
// told by the calls that failed for it.
func (o *Observer) Stories() []Story {
	records, _ := o.log.after(0)
	return stories(records)
}

func stories(records []record) []Story {
	var (
		sums []record
		from []time.Time
		ops  []map[string]bool
	)
	open := map[key]int{} // index of the last story of its kind
	for _, r := range records {
		k := r.key
		if k.kind == KindBudget && !k.waits || k.kind == KindStep && r.run.ordinary() {
			continue
		}
		if k.alike() {
			k = k.common()
		}
		i, known := open[k]
		if k.kind == KindBreaker || k.kind == KindRun || !known || r.at.Sub(sums[i].at) > k.apart() {
			i = len(sums)
			open[k] = i
			sums, from, ops = append(sums, r), append(from, r.at), append(ops, map[string]bool{r.key.op: true})
			continue
		}
		s := &sums[i]
		s.at, s.count, s.correlation, s.run = r.at, s.count+r.count, r.correlation, r.run
		s.waited = max(s.waited, r.waited)
		if ops[i][r.key.op] = true; len(ops[i]) > 1 {
			s.key = k
		}
		s.operations = max(s.operations, r.operations, len(ops[i]))
	}
	out := make([]Story, len(sums))
	for i := range sums {
		out[i] = Story{Event: sums[i].event(), From: from[i], To: sums[i].at}
	}
	return out
}

func (k key) apart() time.Duration {
	if k.kind == KindCommit || k.kind == KindStep {
		return apartBeside
	}
	return apart
}

// alike reports whether an outage does this to all operations.
func (k key) alike() bool {
	return k.kind == KindParked || k.kind == KindReleased || k.kind == KindGiveUp && k.reason == perdure.ReasonBreakerOpen
}

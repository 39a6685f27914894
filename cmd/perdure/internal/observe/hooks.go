package observe

import (
	"context"
	"sync"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

// maxUnknown bounds the unknown commits that are kept beside the log.
const maxUnknown = 50

// Change is the last change of a breaker.
type Change struct {
	breaker.Change
	// Since is when the breaker was last closed: the begin of the trouble. Zero if it is closed, or was not
	// when the watching began.
	Since time.Time
}

// watched is one Manager.
type watched struct {
	name   string
	source Source
	unhook func()

	mu       sync.Mutex // guards the fields below
	changes  map[string]Change
	unknown  []record // commits, the last maxUnknown
	begun    time.Time
	refusals uint64    // by the budget, at the last sample
	refused  time.Time // when there was the last one
	history  history
}

func newWatched(s Source, maxOperations int, now time.Time) *watched {
	return &watched{
		name: s.Manager.Name(), source: s, changes: map[string]Change{}, begun: now,
		history: history{max: maxOperations, calls: map[string]uint64{}, operations: map[string]*operationHistory{}},
	}
}

// hooks note what happens. They must be fast: see the package's doc.
func (w *watched) hooks(l *eventLog) perdure.Hooks {
	return perdure.Hooks{
		BreakerChange: func(e perdure.BreakerEvent) { w.changed(l, e) },
		CallEnd: func(_ context.Context, e perdure.CallEvent) {
			if e.Reason == 0 {
				return
			}
			k := key{kind: KindGiveUp, manager: w.name, op: e.Op, reason: e.Reason}
			if e.Reason != perdure.ReasonBreakerOpen { // what the call met before it was refused is no news
				k.detail, k.category = e.Verdict.SQLState, e.Verdict.Category
			}
			l.add(k, e.CorrelationID, 0)
		},
		BudgetSpent: func(_ context.Context, e perdure.BudgetEvent) {
			l.add(key{kind: KindBudget, manager: w.name, op: e.Op, waits: e.Waits}, e.CorrelationID, 0)
		},
		CommitOutcome: func(_ context.Context, e perdure.OutcomeEvent) { w.outcome(l, e) },
		Parked: func(_ context.Context, e perdure.ParkEvent) {
			l.add(key{kind: KindParked, manager: w.name, op: e.Op, detail: e.For}, e.CorrelationID, 0)
		},
		Released: func(_ context.Context, e perdure.ParkEvent) {
			l.add(key{kind: KindReleased, manager: w.name, op: e.Op, detail: e.For}, e.CorrelationID, e.Waited)
		},
	}
}

// changed keeps the last change of a breaker. The names of breakers are bounded
// by the Manager.
func (w *watched) changed(l *eventLog, e perdure.BreakerEvent) {
	c := e.Change
	var away time.Duration
	w.mu.Lock()
	next := Change{Change: c, Since: w.changes[e.Operation].Since}
	switch {
	case c.From == breaker.Closed && c.To != breaker.Closed:
		next.Since = c.At
	case c.To == breaker.Closed:
		if !next.Since.IsZero() {
			away = c.At.Sub(next.Since)
		}
		next.Since = time.Time{}
	}
	w.changes[e.Operation] = next
	w.mu.Unlock()
	l.tell(record{at: c.At, key: key{kind: KindBreaker, manager: w.name, op: e.Operation}, count: 1, change: &c, waited: away})
}

// outcome notes how a commit ended. That a Once ran its work is no news. Its
// key and the evidence stay out: they may hold data.
func (w *watched) outcome(l *eventLog, e perdure.OutcomeEvent) {
	if e.Resolution == perdure.Run {
		return
	}
	k := key{kind: KindCommit, manager: w.name, op: e.Op, resolution: e.Resolution, detail: e.Method}
	if e.Resolution == perdure.Undecided {
		k.unique = e.CorrelationID
		w.mu.Lock()
		if len(w.unknown) >= maxUnknown {
			w.unknown = append(w.unknown[:0], w.unknown[1:]...)
		}
		w.unknown = append(w.unknown, record{at: time.Now(), key: k, count: 1, correlation: e.CorrelationID})
		w.mu.Unlock()
	}
	l.add(k, e.CorrelationID, 0)
}

package perdure

import (
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// Snapshot is everything countable in a Manager at one moment. Counters never
// fall while the Manager lives. They are read one by one while calls go on, so
// that sums may be off by the calls under way.
type Snapshot struct {
	Name       string
	At         time.Time
	Database   breaker.Snapshot // its NextProbe is when the prober asks next
	Probe      ProbeSnapshot
	Operations []OperationSnapshot // by name
	Budget     BudgetSnapshot
	Parked     int               // calls that wait for a breaker or the budget now
	Overflowed uint64            // calls that ran as "other", for want of room for their name
	States     map[string]uint64 // errors by SQLSTATE; beyond 64 for one operation as "other"
	Outcomes   []OutcomeCount    // by resolution and method
}

// OutcomeCount counts the commits in doubt that were resolved in one way.
type OutcomeCount struct {
	Resolution Resolution
	Method     string
	Count      uint64
}

// OperationSnapshot is what is countable of one operation.
type OperationSnapshot struct {
	Name        string
	Breaker     *breaker.Snapshot // nil: the operation has none
	Succeeded   uint64            // calls, at whichever attempt
	Failed      map[Reason]uint64 // calls by why they failed; under the zero Reason those whose error came back untouched
	Rejected    uint64            // of the failed calls, those that a breaker refused before they began
	Retries     map[int]uint64    // repeats by the number of the attempt; 10 counts all from the tenth on
	Recovered   uint64            // calls that succeeded after a repeat
	Lost        uint64            // calls that failed after a repeat
	SuccessRate float64           // of the calls of the last five minutes that needed a repeat; 1 while there were none
	Errors      []ErrorCount
	Parks       uint64        // times that a call waited for a breaker or the budget
	Waited      time.Duration // in all
	Calls       Histogram     // durations of calls, waiting included
	Attempts    Histogram
	Delays      Histogram // before repeats
}

// ErrorCount counts failed attempts of one category and severity.
type ErrorCount struct {
	Category pgerr.Category
	Severity pgerr.Severity
	Count    uint64
}

// Snapshot returns everything countable. It may be called at any time, and
// costs the calls under way next to nothing.
func (m *Manager) Snapshot() Snapshot {
	s := Snapshot{
		Name:       m.cfg.Name,
		At:         time.Now(),
		Database:   m.database.breaker.Snapshot(),
		Probe:      m.prober.snapshot(),
		Budget:     m.budget.snapshot(m.now()),
		Parked:     int(m.parked.Load()),
		Overflowed: m.overflowed.Load(),
		States:     map[string]uint64{},
	}
	if s.Database.State == breaker.Open {
		s.Database.NextProbe = m.database.nextProbe()
	}
	for o := range m.operations.all {
		s.Operations = append(s.Operations, o.snapshot(m.now()))
		o.stats.addStates(s.States)
	}
	if s.Overflowed > 0 {
		s.Operations = append(s.Operations, m.other.snapshot(m.now()))
		m.other.stats.addStates(s.States)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, saved := range m.restored {
		if rank(saved) == 0 && m.operations.get(name) == nil { // nobody has called it yet, and nobody can
			s.Operations = append(s.Operations, OperationSnapshot{Name: name, Breaker: &saved, SuccessRate: 1})
		}
	}
	slices.SortFunc(s.Operations, func(a, b OperationSnapshot) int { return strings.Compare(a.Name, b.Name) })
	for k, n := range m.outcomes {
		s.Outcomes = append(s.Outcomes, OutcomeCount{Resolution: k.resolution, Method: k.method, Count: n})
	}
	slices.SortFunc(s.Outcomes, func(a, b OutcomeCount) int {
		return strings.Compare(string(a.Resolution)+a.Method, string(b.Resolution)+b.Method)
	})
	return s
}

// addStates adds the errors of an operation by SQLSTATE.
func (s *stats) addStates(sum map[string]uint64) {
	t := s.trouble.Load()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.states {
		sum[c.state] += c.n
	}
}

func (o *operation) snapshot(now time.Duration) OperationSnapshot {
	atOnce, later := o.rejected()
	s := OperationSnapshot{
		Name:        o.name,
		Rejected:    atOnce + later,
		SuccessRate: 1,
		Failed:      map[Reason]uint64{},
		Retries:     map[int]uint64{},
	}
	if atOnce > 0 {
		s.Failed[ReasonBreakerOpen] = atOnce // the others are counted where all calls are that waited
	}
	if o.gate != nil {
		b := o.gate.breaker.Snapshot()
		s.Breaker = &b
	}
	calls := o.stats.first.tally()
	s.Calls = calls.histogram()
	s.Succeeded = s.Calls.Count
	t := o.stats.trouble.Load()
	if t == nil {
		s.Attempts = s.Calls
		return s
	}
	attempts := calls
	t.mu.Lock()
	defer t.mu.Unlock()
	calls.merge(&t.calls)
	attempts.merge(&t.attempts)
	s.Calls, s.Attempts, s.Delays = calls.histogram(), attempts.histogram(), t.delays.histogram()
	s.Succeeded += t.parkedOK + t.late
	s.Recovered, s.Lost, s.SuccessRate = t.late, t.lost, t.rate.value(now)
	s.Parks, s.Waited = t.parked, t.waited
	for reason, n := range t.outcomes {
		if n > 0 {
			s.Failed[Reason(reason)] += n
		}
	}
	for attempt := range t.retries {
		if n := t.retries[attempt].Load(); n > 0 {
			s.Retries[attempt] = n
		}
	}
	for c := range t.errors {
		for sev, n := range t.errors[c] {
			if n > 0 {
				s.Errors = append(s.Errors, ErrorCount{pgerr.Category(c), pgerr.Severity(sev), n})
			}
		}
	}
	return s
}

// Usual returns an upper bound, exact to 25 %, of the given quantile of how
// long the calls of an operation that succeeded at once took; false with fewer
// than 20 of them.
func (m *Manager) Usual(op string, quantile float64) (time.Duration, bool) {
	o := m.operations.get(op)
	if o == nil {
		return 0, false
	}
	d, n := o.stats.first.quantile(quantile)
	return d, n >= usualCount
}

package perdure

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/pgerr"
)

const (
	categoryCount = int(pgerr.CategoryRaised) + 1
	severityCount = int(pgerr.SeverityCritical) + 1
	// maxCountedAttempt is the last attempt with a count of its own; later ones share it.
	maxCountedAttempt = 10

	rateWindow = 5 * time.Minute
	rateSlots  = 10
)

// stats counts what happens to one operation. A call that succeeds at once
// touches only first; everything else is counted on a path that has failed
// already. What is counted together is under one lock, which is cheaper than an
// atomic addition for each count.
type stats struct {
	first   spread                  // calls that succeeded at the first attempt
	trouble atomic.Pointer[trouble] // nil until something fails
}

// trouble counts what does not succeed at once.
type trouble struct {
	retries [maxCountedAttempt + 1]atomic.Uint64 // by the number of the attempt that was begun

	mu       sync.Mutex // guards the fields below
	errors   [categoryCount][severityCount]uint64
	states   []stateCount // by SQLSTATE
	attempts tally        // attempts that failed, and repeats
	calls    tally        // calls that failed or were repeated
	delays   tally
	outcomes [reasonCount]uint64 // of calls that failed; 0: the error came back untouched
	parkedOK uint64              // calls that waited and succeeded at the first attempt
	late     uint64              // calls that succeeded after a repeat
	lost     uint64              // calls that failed after a repeat
	parked   uint64
	waited   time.Duration
	rate     rate
}

// troubled returns the counters of trouble, made when first needed.
func (s *stats) troubled() *trouble {
	if t := s.trouble.Load(); t != nil {
		return t
	}
	s.trouble.CompareAndSwap(nil, new(trouble))
	return s.trouble.Load()
}

// failure counts an attempt that failed.
func (t *trouble) failure(v *pgerr.Verdict, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts.add(took)
	t.errors[v.Category][v.Severity]++
	if v.SQLState != "" {
		t.state(v.SQLState)
	}
}

// maxStates bounds the SQLSTATEs that an operation counts one by one: an
// extension may raise any code. Further ones are counted as "other".
const maxStates = 64

type stateCount struct {
	state string
	n     uint64
}

// state counts an error by its SQLSTATE, under mu. An operation meets few
// different ones: a search from the start is faster than a map.
func (t *trouble) state(state string) {
	for i := range t.states {
		if c := &t.states[i]; c.state == state {
			c.n++
			return
		}
	}
	if len(t.states) >= maxStates && state != otherName {
		t.state(otherName)
		return
	}
	t.states = append(t.states, stateCount{state: state, n: 1})
}

// repeat counts an attempt that begins, after the first.
func (t *trouble) repeat(attempt int) { t.retries[min(attempt, maxCountedAttempt)].Add(1) }

// delay counts a wait before a repeat.
func (t *trouble) delay(d time.Duration) {
	t.mu.Lock()
	t.delays.add(d)
	t.mu.Unlock()
}

// success counts a call that succeeded after it had waited or failed, and its
// last attempt.
func (t *trouble) success(now, elapsed, took time.Duration, attempts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts.add(took)
	t.calls.add(elapsed)
	if attempts < 2 {
		t.parkedOK++
		return
	}
	t.late++
	t.rate.add(now, true)
}

// end counts a call that failed.
func (t *trouble) end(now, elapsed time.Duration, attempts int, reason Reason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls.add(elapsed)
	t.outcomes[reason]++
	if attempts < 2 {
		return
	}
	t.lost++
	t.rate.add(now, false)
}

func (t *trouble) park(waited time.Duration) {
	t.mu.Lock()
	t.parked++
	t.waited += waited
	t.mu.Unlock()
}

// rate keeps how many of the retried calls of the last five minutes succeeded,
// in slots of half a minute.
type rate struct {
	slot  int64
	slots [rateSlots]struct{ all, ok uint64 }
}

func (r *rate) add(now time.Duration, ok bool) {
	r.advance(now)
	s := &r.slots[r.slot%rateSlots]
	s.all++
	if ok {
		s.ok++
	}
}

func (r *rate) advance(now time.Duration) {
	slot := int64(now / (rateWindow / rateSlots))
	for range min(max(slot-r.slot, 0), rateSlots) {
		r.slot++
		r.slots[r.slot%rateSlots] = struct{ all, ok uint64 }{}
	}
	r.slot = max(slot, r.slot)
}

// value is the share that succeeded; 1 while there were none.
func (r *rate) value(now time.Duration) float64 {
	r.advance(now)
	var all, ok uint64
	for _, s := range r.slots {
		all, ok = all+s.all, ok+s.ok
	}
	if all == 0 {
		return 1
	}
	return float64(ok) / float64(all)
}

package observe

import (
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

const (
	// historyLength is how many samples are kept: five minutes.
	historyLength = 300
	// recent is how many of them the figures "now" are made of.
	recent = 10
)

// Point is one second of a Manager.
type Point struct {
	Rates
	At       time.Time
	State    breaker.State // of the database's breaker
	Held     breaker.Held
	Parked   int
	Budget   float64 // ratio that is left, 0 to 1; 0 in a second in which it could not pay
	Acquired int32   // connections of the pool
	Waits    float64 // callers a second that had to wait for one
}

// Rates are per second. P50 and P99 are upper bounds of quantiles of the
// durations of calls, exact to 25 %; zero if no call ended.
type Rates struct {
	Calls, Failed, Retries float64
	P50, P99               time.Duration
}

// OperationPoint is one second of an operation.
type OperationPoint struct {
	Rates
	State breaker.State
}

// counts is what rates are made of.
type counts struct {
	at                     time.Time
	calls, failed, retries uint64
	durations              perdure.Histogram
}

func countsOf(at time.Time, o *perdure.OperationSnapshot) counts {
	c := counts{at: at, calls: o.Succeeded, durations: o.Calls}
	for _, n := range o.Failed {
		c.failed += n
	}
	for _, n := range o.Retries {
		c.retries += n
	}
	c.calls += c.failed
	return c
}

// add adds those of another operation.
func (c *counts) add(o counts) {
	c.calls, c.failed, c.retries = c.calls+o.calls, c.failed+o.failed, c.retries+o.retries
	c.durations = sum(c.durations, o.durations)
}

// since returns the rates between two moments.
func (c counts) since(before counts) Rates {
	seconds := c.at.Sub(before.at).Seconds()
	if seconds <= 0 {
		return Rates{}
	}
	d := difference(c.durations, before.durations)
	return Rates{
		Calls: less(c.calls, before.calls) / seconds, Failed: less(c.failed, before.failed) / seconds,
		Retries: less(c.retries, before.retries) / seconds,
		P50:     Quantile(d, 0.5), P99: Quantile(d, 0.99),
	}
}

// less is how much a counter grew. An operation that became "other", or a
// history that began anew, must not make it fall.
func less(now, before uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now - before)
}

// series is the counts of the last seconds, and what they came to in each of
// the last five minutes.
type series[P any] struct {
	last   []counts // at most recent+1, oldest first
	points []P      // a ring of historyLength once it is full
	next   int
}

func (s *series[P]) put(c counts, p P) {
	if len(s.last) > recent {
		s.last = append(s.last[:0], s.last[1:]...)
	}
	s.last = append(s.last, c)
	if len(s.points) < historyLength {
		s.points = append(s.points, p)
		return
	}
	s.points[s.next] = p
	s.next = (s.next + 1) % historyLength
}

// previous returns the last counts; false if there are none.
func (s *series[P]) previous() (counts, bool) {
	if len(s.last) == 0 {
		return counts{}, false
	}
	return s.last[len(s.last)-1], true
}

// recent returns the rates of the last ten seconds.
func (s *series[P]) recent() Rates {
	if len(s.last) < 2 {
		return Rates{}
	}
	return s.last[len(s.last)-1].since(s.last[0])
}

// copied returns the points, oldest first.
func (s *series[P]) copied() []P {
	out := make([]P, 0, len(s.points))
	out = append(out, s.points[s.next:]...)
	return append(out, s.points[:s.next]...)
}

// operationHistory is that of one operation.
type operationHistory struct {
	series[OperationPoint]
	called time.Time // when it last was
}

// history is that of one Manager. The operations called last have one of their own.
type history struct {
	series[Point]
	max        int
	waits      int64
	calls      map[string]uint64 // of every operation; the Manager bounds their names
	operations map[string]*operationHistory
}

// sample takes one second.
func (w *watched) sample(now time.Time) {
	s := w.source.Manager.Snapshot()
	pool := w.pool()
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &w.history
	total := counts{at: now}
	for i := range s.Operations {
		c := countsOf(now, &s.Operations[i])
		total.add(c)
		h.operation(&s.Operations[i], c)
	}
	p := Point{At: now, State: s.Database.State, Held: s.Database.Held, Parked: s.Parked, Budget: s.Budget.Ratio}
	before, ok := h.previous()
	if ok {
		p.Rates = total.since(before)
	}
	if pool != nil {
		p.Acquired = pool.Acquired
		if ok {
			p.Waits = max(0, float64(pool.Waits-h.waits)) / max(now.Sub(before.at).Seconds(), 1e-3)
		}
		h.waits = pool.Waits
	}
	if s.Budget.Refused > w.refusals && len(h.last) > 0 { // those before the first sample are old
		w.refused, p.Budget = now, 0
	}
	h.put(total, p)
	w.refusals = s.Budget.Refused
}

// pool asks the pool, with no lock held; nil if there is none.
func (w *watched) pool() *Pool {
	w.mu.Lock()
	ask := w.source.Pool
	w.mu.Unlock()
	if ask == nil {
		return nil
	}
	p := ask()
	return &p
}

// operation takes one second of an operation.
func (h *history) operation(s *perdure.OperationSnapshot, c counts) {
	called := c.calls > h.calls[s.Name]
	h.calls[s.Name] = c.calls
	o := h.operations[s.Name]
	if o == nil {
		if !called {
			return
		}
		if o = h.room(s.Name, c.at); o == nil {
			return
		}
	}
	p := OperationPoint{}
	if s.Breaker != nil {
		p.State = s.Breaker.State
	}
	before, ok := o.previous()
	if ok {
		p.Rates = c.since(before)
	}
	if called {
		o.called = c.at
	}
	o.put(c, p)
}

// room makes a history for an operation, if need be in the place of the one
// that was not called for longest; nil if all are called all the time.
func (h *history) room(name string, now time.Time) *operationHistory {
	if len(h.operations) >= h.max {
		oldest := ""
		for n, o := range h.operations {
			if oldest == "" || o.called.Before(h.operations[oldest].called) {
				oldest = n
			}
		}
		if now.Sub(h.operations[oldest].called) < recent*sampleEvery {
			return nil
		}
		delete(h.operations, oldest)
	}
	o := &operationHistory{}
	h.operations[name] = o
	return o
}

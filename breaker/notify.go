package breaker

import "time"

// event is one call of a hook that is due.
type event struct {
	suspect  bool
	change   Change
	evidence Evidence
}

// changed records a change for OnChange and wakes those who wait.
func (b *Breaker) changed(from State, now int64, reason string, ev Evidence) {
	t := b.inTrouble()
	t.reason = reason
	t.history.add(from, b.State(), now)
	b.wake()
	if b.opts.OnChange == nil {
		return
	}
	c := Change{From: from, To: b.State(), Held: b.held, Reason: reason, At: b.at(now), Evidence: ev}
	if until := b.openUntil.Load(); c.To == Open && until == b.due {
		c.NextProbe = b.at(until)
	}
	t.queue = append(t.queue, event{change: c})
}

// unlock releases mu and calls the hooks that are due, unless somebody is
// already at it: then that goroutine calls them, which keeps them in order, and
// lets a hook change the breaker.
func (b *Breaker) unlock() {
	t := b.trouble
	if t == nil || len(t.queue) == 0 || t.delivering {
		b.mu.Unlock()
		return
	}
	t.delivering = true
	defer func() { // also when a hook panics
		t.delivering = false
		b.mu.Unlock()
	}()
	for len(t.queue) > 0 {
		e := t.queue[0]
		t.queue = t.queue[1:]
		b.call(e)
	}
	t.queue = nil
}

// call runs a hook with mu released.
func (b *Breaker) call(e event) {
	b.mu.Unlock()
	defer b.mu.Lock()
	if e.suspect {
		b.opts.OnSuspect(e.evidence)
		return
	}
	b.opts.OnChange(e.change)
}

// Wait is for callers that were refused and want to wait: changed is closed
// when what may be admitted changes (a change of state or hold, a probe's success, a place given
// back), and at is the time at which Admit may succeed by time alone; zero means never. If a call may
// pass now, at is not in the future.
//
// Call Wait before Admit, so that no change is missed between the two. Closing
// wakes everybody: when many wait, let one wait for all. While nobody waits
// this costs nothing.
func (b *Breaker) Wait() (changed <-chan struct{}, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.inTrouble()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	now := b.now()
	w := b.word.Load()
	switch {
	case w&limited == 0:
	case State(w&stateMask) == Open:
		if b.openUntil.Load() != b.due {
			return t.changed, time.Time{}
		}
		now = max(now, b.due)
	case State(w&stateMask) == HalfOpen:
		now = t.probes.next(now)
	default:
		now = t.ramp.next(now)
	}
	return t.changed, b.at(now)
}

func (b *Breaker) wake() {
	if t := b.trouble; t != nil && t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

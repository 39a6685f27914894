package breaker

import (
	"math"
	"time"
)

// suspectAgain is how long an unanswered suspicion keeps the breaker from asking again.
const suspectAgain = 5 * time.Second

// Trip opens the breaker: the owner of a confirmed breaker has seen for itself, or somebody else
// knows better. It does nothing to a breaker that is open or held.
func (b *Breaker) Trip(reason string) {
	b.mu.Lock()
	defer b.unlock()
	if b.held == NotHeld && b.State() != Open {
		b.open(b.now(), bounded(reason), Evidence{})
	}
}

// Convict answers OnSuspect: the evidence stands, and the breaker opens for it. It does nothing to a
// breaker that is open or held.
func (b *Breaker) Convict(ev Evidence) {
	b.mu.Lock()
	defer b.unlock()
	if b.held == NotHeld && b.State() != Open {
		b.open(b.now(), ReasonThreshold, ev)
	}
}

// Acquit answers OnSuspect: the database is well. The evidence so far is
// forgotten, and not learned.
func (b *Breaker) Acquit() {
	b.mu.Lock()
	defer b.unlock()
	if b.trouble != nil {
		b.trouble.suspected = false
	}
	if b.State() == Closed {
		b.det.reset(b.cfg, b.now(), b.successes.Load(), false)
	}
}

// HalfOpen makes an open breaker half-open: a prober has seen the database answer. It does nothing to
// a breaker that is not open, or is held.
func (b *Breaker) HalfOpen() {
	b.mu.Lock()
	defer b.unlock()
	if b.held == NotHeld && b.State() == Open {
		b.halfOpen(b.now(), ReasonProbed)
	}
}

// ProbeSucceeded counts a prober's success towards SuccessThreshold, if the breaker is half-open.
func (b *Breaker) ProbeSucceeded() {
	b.mu.Lock()
	defer b.unlock()
	if b.held == NotHeld && b.State() == HalfOpen {
		b.probed(b.now())
	}
}

// crossed acts on evidence over the threshold.
func (b *Breaker) crossed(now int64) {
	if b.held != NotHeld {
		return
	}
	ev := b.det.evidence(b.cfg)
	ev.At = b.at(now)
	if b.opts.OnSuspect == nil {
		b.open(now, ReasonThreshold, ev)
		return
	}
	t := b.inTrouble()
	if !t.suspected || now-t.suspectedAt >= int64(suspectAgain) {
		t.suspected, t.suspectedAt = true, now
		t.queue = append(t.queue, event{suspect: true, evidence: ev})
	}
}

// open begins a new generation in which nothing passes.
func (b *Breaker) open(now int64, reason string, ev Evidence) {
	from := b.State()
	if from == Closed {
		for calm := (now - b.closedAt) / int64(b.cfg.MaxOpenFor); calm > 0 && b.level > 0; calm-- {
			b.level--
		}
	}
	b.due = now + int64(jittered(b.openFor()))
	if b.openFor() < b.cfg.MaxOpenFor {
		b.level++
	}
	b.become(Open, false)
	b.changed(from, now, reason, ev)
}

// openFor is OpenFor doubled level times. level stops growing at MaxOpenFor, so the shift is safe.
func (b *Breaker) openFor() time.Duration {
	d := b.cfg.OpenFor
	for range b.level {
		if d > b.cfg.MaxOpenFor/2 {
			return b.cfg.MaxOpenFor
		}
		d *= 2
	}
	return d
}

func (b *Breaker) halfOpen(now int64, reason string) {
	from := b.State()
	b.inTrouble().probes.reset()
	b.become(HalfOpen, false)
	b.changed(from, now, reason, Evidence{})
}

// probed counts one success of a half-open breaker.
func (b *Breaker) probed(now int64) {
	p := &b.trouble.probes
	p.successes++
	if p.successes < b.cfg.SuccessThreshold {
		b.wake()
		return
	}
	b.close(now, ReasonRecovered, b.cfg.RampFor > 0)
}

// close begins a new generation in which calls pass, slowly at first if ramping.
func (b *Breaker) close(now int64, reason string, ramping bool) {
	from := b.State()
	b.closedAt = now
	b.det.reset(b.cfg, now, b.successes.Load(), ramping)
	t := b.inTrouble()
	t.suspected = false
	if ramping {
		t.ramp = ramp{began: now, step: max(1, int64(b.cfg.RampFor)/rampSteps), first: 1 + b.cfg.SuccessThreshold}
	}
	b.become(Closed, ramping)
	b.changed(from, now, reason, Evidence{})
}

// endRamp lets everything pass, and asks for full evidence, when the ramp's time is over. The generation
// stays: calls admitted in the ramp still count.
func (b *Breaker) endRamp(now int64) {
	w := b.word.Load()
	if w&limited == 0 || State(w&stateMask) != Closed || !b.trouble.ramp.over(now) {
		return
	}
	b.det.halved = false
	b.word.Store(w>>genShift<<genShift | b.flags(Closed, false))
	b.wake()
}

// become begins a new generation in state s.
func (b *Breaker) become(s State, ramping bool) {
	until := b.due
	if b.held != NotHeld || b.opts.OnSuspect != nil {
		until = math.MaxInt64 // never by time
	}
	b.openUntil.Store(until)
	b.word.Store((b.word.Load()>>genShift+1)<<genShift | b.flags(s, ramping))
}

func (b *Breaker) inTrouble() *trouble {
	if b.trouble == nil {
		b.trouble = &trouble{}
	}
	return b.trouble
}

package breaker

import "time"

// Permit is the right of one call to pass. It carries the generation in which
// it was given, so that a result that comes too late is dropped. The zero
// Permit belongs to no breaker; reporting to it does nothing.
type Permit struct {
	b    *Breaker
	word uint64 // the breaker's word at admission
	slot uint32 // 0: none; rampSlot; else the number of a probe's lease
}

// rampSlot marks a permit that holds one of the ramp's places.
const rampSlot = ^uint32(0)

// Success reports that the call succeeded after latency, which is looked at only under the slow-call rule.
// It returns whether the success counted: one that comes too late does not.
func (p Permit) Success(latency time.Duration) bool {
	if p.b == nil {
		return false
	}
	if w := p.b.word.Load(); (w^p.word)>>genShift == 0 && w&watched == 0 {
		p.b.successes.Add()
		return true
	}
	return p.b.succeeded(p, latency)
}

// Failure reports that the call failed after latency.
func (p Permit) Failure(latency time.Duration) {
	if p.b != nil {
		p.b.failed(p, latency)
	}
}

// Ignore gives the permit back without evidence: the caller cancelled its own call, or the call
// never ran. It counts neither as success nor as failure.
func (p Permit) Ignore() {
	if p.b == nil || p.slot == 0 {
		return
	}
	b := p.b
	b.mu.Lock()
	defer b.unlock()
	b.giveBack(p)
}

// giveBack returns the place that p holds and says whether p still counts:
// it is of this generation and, if a probe, its lease was not given to another.
func (b *Breaker) giveBack(p Permit) bool {
	w := b.word.Load()
	if (w^p.word)>>genShift != 0 {
		return false
	}
	switch {
	case State(w&stateMask) == HalfOpen:
		if !b.trouble.probes.giveBack(p.slot) {
			return false
		}
		b.wake()
	case p.slot == rampSlot && w&limited != 0:
		b.trouble.ramp.giveBack()
		b.wake()
	}
	return true
}

func (b *Breaker) succeeded(p Permit, latency time.Duration) bool {
	b.mu.Lock()
	defer b.unlock()
	if !b.giveBack(p) {
		return false
	}
	b.successes.Add()
	now := b.now()
	slow := b.cfg.SlowCall > 0 && latency >= b.cfg.SlowCall
	switch b.State() {
	case HalfOpen:
		if slow && b.cfg.Rule != Off {
			b.open(now, ReasonProbe, Evidence{})
			break
		}
		b.probed(now)
	case Closed:
		if b.det.window != nil && b.det.success(b.cfg, now, slow) {
			b.crossed(now)
		}
	case Open:
	}
	return true
}

func (b *Breaker) failed(p Permit, latency time.Duration) {
	b.mu.Lock()
	defer b.unlock()
	if !b.giveBack(p) {
		return
	}
	b.failures.Add(1)
	now := b.now()
	switch b.State() {
	case HalfOpen:
		b.open(now, ReasonProbe, Evidence{})
	case Closed:
		b.endRamp(now)
		slow := b.cfg.SlowCall > 0 && latency >= b.cfg.SlowCall
		if b.det.failure(b.cfg, now, b.successes.Load(), slow) {
			b.crossed(now)
		}
	case Open:
	}
}

// Limited reports whether the permit is one of few: the breaker was half-open, or in the ramp after it.
func (p Permit) Limited() bool { return p.slot != 0 }

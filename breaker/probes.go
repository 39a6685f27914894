package breaker

// probes are the calls that a half-open breaker has let in.
//
// Admission follows TCP's slow start (RFC 5681 §3.1): the window is one call
// plus one for each success, so it doubles with each round of successes.
type probes struct {
	successes int
	lost      uint8 // leases that ran out in this half-open period
	last      uint32
	leases    []lease
}

type lease struct {
	slot uint32
	ends int64
}

// maxLost bounds the doublings of the lease.
const maxLost = 12

func (p *probes) reset() {
	p.successes, p.lost, p.leases = 0, 0, p.leases[:0]
}

// take gives out a place, one whose lease ran out if no other is free.
func (p *probes) take(now, leaseFor int64) (slot uint32, ok bool) {
	if len(p.leases) > p.successes && !p.reclaim(now) {
		return 0, false
	}
	p.last++
	if p.last == 0 || p.last == rampSlot { // wrapped
		p.last = 1
	}
	if leaseFor > int64(longest)>>p.lost {
		leaseFor = int64(longest) >> p.lost // so that the shift does not overflow
	}
	p.leases = append(p.leases, lease{slot: p.last, ends: now + leaseFor<<p.lost})
	return p.last, true
}

// reclaim frees the place of the lease that ran out first, if any has.
func (p *probes) reclaim(now int64) bool {
	first := 0
	for i, l := range p.leases {
		if l.ends < p.leases[first].ends || l.ends == p.leases[first].ends && l.slot < p.leases[first].slot {
			first = i
		}
	}
	if p.leases[first].ends > now {
		return false
	}
	p.remove(first)
	p.lost = min(p.lost+1, maxLost)
	return true
}

// giveBack says whether slot was still out.
func (p *probes) giveBack(slot uint32) bool {
	for i, l := range p.leases {
		if l.slot == slot {
			p.remove(i)
			return true
		}
	}
	return false
}

func (p *probes) remove(i int) {
	n := len(p.leases) - 1
	p.leases[i] = p.leases[n]
	p.leases = p.leases[:n]
}

// next returns when a place will be free by time alone; now if one is free.
func (p *probes) next(now int64) int64 {
	if len(p.leases) <= p.successes {
		return now
	}
	first := p.leases[0].ends
	for _, l := range p.leases[1:] {
		first = min(first, l.ends)
	}
	return max(first, now)
}

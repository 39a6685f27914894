package adapter

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrLate is why an attempt that has got a connection does not use it, see
// [Paces.Begin].
var ErrLate = errors.New("the wait has left too little time for what this operation usually takes")

const (
	maxPaces = 4096 // operations; what comes later is not learned
	// paceShare is the weight of the newest use in the mean.
	paceShare = 8
)

// Paces learn how long operations use a connection, from uses under a deadline.
// They are safe for concurrent use; uses that end at the same moment may count
// as one.
//
// A pool serves its line first come, first served. Once attempts run out of time
// there, those at its head have next to none left: each of them would cost a
// statement that is cancelled, nobody would be served, and that would not end
// with the trouble that began it (N. Bronson et al., Metastable Failures in
// Distributed Systems, HotOS 2021). Whoever has no time left at the head of the
// line therefore leaves it to those who have.
type Paces struct {
	all sync.Map // operation → *pace
	n   atomic.Int64
}

// pace is the mean of what an operation took, in nanoseconds; zero: not known.
type pace struct{ mean atomic.Int64 }

// Turn is one use of a connection. The zero Turn is one of which nothing is learned.
type Turn struct {
	pace *pace
	at   time.Time
}

// Begin begins the use of a connection by op, which was asked for at a time. It
// reports false if op would usually have had time for it before deadline, and
// has none any more.
func (p *Paces) Begin(op string, asked, deadline time.Time) (Turn, bool) {
	t := Turn{pace: p.of(op), at: time.Now()}
	if t.pace == nil {
		return Turn{}, true
	}
	usual := time.Duration(t.pace.mean.Load())
	if deadline.Sub(t.at) < usual && deadline.Sub(asked) >= usual {
		return Turn{}, false
	}
	return t, true
}

func (p *Paces) of(op string) *pace {
	if v, ok := p.all.Load(op); ok {
		return v.(*pace) //nolint:forcetypeassert // the map holds nothing else
	}
	if p.n.Load() >= maxPaces {
		return nil
	}
	v, there := p.all.LoadOrStore(op, new(pace))
	if !there {
		p.n.Add(1)
	}
	return v.(*pace) //nolint:forcetypeassert // the map holds nothing else
}

// End ends the use. Of one that was cut short it is only known that it would
// have taken longer: it counts as twice the time that it had.
func (t *Turn) End(cut bool) {
	if t.pace == nil {
		return
	}
	took := int64(time.Since(t.at))
	if cut {
		took *= 2
	}
	mean := t.pace.mean.Load()
	if mean == 0 {
		mean = took
	}
	t.pace.mean.Store(max(mean+(took-mean)/paceShare, 1))
	*t = Turn{}
}

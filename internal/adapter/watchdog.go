package adapter

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure"
)

const (
	watchEvery   = 25 * time.Millisecond
	silentAtMost = 500 * time.Millisecond // a statement may be silent for this long, or its usual p99.9 if that is longer
	usualSilence = 0.999
	pruneEvery   = 10 * time.Minute
)

// Silence is how long a connection has waited for its server. Since and Op
// belong to the connection.
type Silence struct {
	Since     atomic.Int64           // nanoseconds since the start of the DB of what nothing has answered yet; zero means nothing
	Op        atomic.Pointer[string] // the operation that waits; nil if it is not known
	suspected int64                  // the value of Since that the watchdog has told of
}

// Quiet returns s; it makes what embeds a Silence a [Watched].
func (s *Silence) Quiet() *Silence { return s }

// Watched is a connection that embeds a [Silence].
type Watched interface {
	comparable
	Quiet() *Silence
}

// Watchdog looks for connections that are silent for longer than their
// operation usually is. It is safe for concurrent use.
type Watchdog[C Watched] struct {
	mu  sync.Mutex // guards the field below
	all map[C]struct{}
}

// Add begins to watch c.
func (d *Watchdog[C]) Add(c C) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[C]struct{}{}
	}
	d.all[c] = struct{}{}
}

// Remove ends to watch c.
func (d *Watchdog[C]) Remove(c C) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, c)
}

// Run watches until closed is closed, and asks m for a probe because of each
// silence once. It calls each, unless nil, for every connection at every look,
// with the time since start, and prune now and then.
func (d *Watchdog[C]) Run(closed <-chan struct{}, m *perdure.Manager, start time.Time, each func(C, time.Duration), prune func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	pruned := time.Now()
	for {
		select {
		case <-closed:
			return
		case <-tick.C:
		}
		if op, silent := d.look(m, time.Since(start), each); silent {
			m.Suspect("a connection of " + op + " is silent")
		}
		if time.Since(pruned) > pruneEvery {
			pruned = time.Now()
			prune()
		}
	}
}

// look returns an operation whose connection has been silent for too long.
func (d *Watchdog[C]) look(m *perdure.Manager, now time.Duration, each func(C, time.Duration)) (op string, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.all {
		if each != nil {
			each(c, now)
		}
		s := c.Quiet()
		since := s.Since.Load()
		if since == 0 || now-time.Duration(since) < silentAtMost || s.suspected == since {
			continue
		}
		name := s.Op.Load()
		if name == nil {
			continue
		}
		if usual, _ := m.Usual(*name, usualSilence); now-time.Duration(since) < usual {
			continue
		}
		s.suspected = since
		op, found = *name, true
	}
	return op, found
}

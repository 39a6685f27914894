package perdurepgx

import (
	"context"
	"sync"
	"time"
)

const (
	watchEvery   = 25 * time.Millisecond
	silentAtMost = 500 * time.Millisecond // a statement may be silent for this long, or its usual p99.9 if that is longer
	usualSilence = 0.999
	pruneEvery   = 10 * time.Minute
	pruneWait    = 30 * time.Second
)

// wires are the connections of the pool, for the watchdog.
type wires struct {
	mu  sync.Mutex // guards the field below
	all map[*wire]struct{}
}

func (s *wires) add(w *wire) {
	if w == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*wire]struct{}{}
	}
	s.all[w] = struct{}{}
}

func (s *wires) remove(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, w)
}

// watch looks for connections that are silent for longer than their operation
// usually is, and asks the prober about them. Each is suspected once a statement.
func (db *DB) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	pruned := time.Now()
	for {
		select {
		case <-db.closed:
			return
		case <-tick.C:
		}
		db.wires.expire(time.Since(db.start))
		if op, silent := db.wires.silent(time.Since(db.start), db.usual); silent {
			db.m.Suspect("a connection of " + op + " is silent")
		}
		if time.Since(pruned) > pruneEvery && db.Outcome() == Marker {
			pruned = time.Now()
			db.prune()
		}
	}
}

// usual returns how long op may be silent.
func (db *DB) usual(op string) time.Duration {
	d, _ := db.m.Usual(op, usualSilence)
	return max(d, silentAtMost)
}

// silent returns an operation whose connection has been silent for too long.
func (s *wires) silent(now time.Duration, usual func(op string) time.Duration) (op string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		since := w.waiting.Load()
		if since == 0 || now-time.Duration(since) < silentAtMost || w.suspected == since {
			continue
		}
		name := w.op.Load()
		if name == nil || now-time.Duration(since) < usual(*name) {
			continue
		}
		w.suspected = since
		op, found = *name, true
	}
	return op, found
}

// prune deletes old markers, a few at a time, until none is left; other
// processes do the same.
func (db *DB) prune() {
	ctx, cancel := context.WithTimeout(db.life, pruneWait)
	defer cancel()
	for n := 1; n > 0; {
		// The connection goes back each time: callers may wait for it.
		if db.pool.QueryRow(ctx, "select perdure.prune($1)", db.cfg.Retention).Scan(&n) != nil {
			return // another time
		}
	}
}

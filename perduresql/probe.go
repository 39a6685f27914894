package perduresql

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// probeWait bounds a probe whose context does not: the Manager's does, by what
	// is usual.
	probeWait    = 4 * time.Second
	watchEvery   = 25 * time.Millisecond
	silentAtMost = 500 * time.Millisecond // a call may be silent for this long, or its usual p99.9 if that is longer
	usualSilence = 0.999
	pruneEvery   = 10 * time.Minute
	pruneWait    = 30 * time.Second
)

// errDemoted is the probe's error for a server that answers but cannot write.
var errDemoted = errors.New("the server is in recovery: it cannot write")

// probe asks, on a connection of its own, whether the database can serve.
func (db *DB) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	l, err := db.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() //nolint:contextcheck // Close has a limit of its own
	rows, err := l.ask(ctx, probeWait, "select pg_is_in_recovery()")
	if err != nil {
		return l.explain(err)
	}
	if !db.cfg.Standbys && len(rows) == 1 && rows[0][0] == "t" {
		return errDemoted
	}
	return nil
}

// links are the connections of the pool, for the watchdog.
type links struct {
	mu  sync.Mutex // guards the field below
	all map[*link]struct{}
}

func (s *links) add(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*link]struct{}{}
	}
	s.all[l] = struct{}{}
}

func (s *links) remove(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, l)
}

// watch looks for connections that are silent for longer than their operation
// usually is, and asks the prober about them. Each is suspected once a call.
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
		if op, silent := db.links.silent(time.Since(db.start), db.usual); silent {
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
func (s *links) silent(now time.Duration, usual func(op string) time.Duration) (op string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.all {
		since := l.since.Load()
		if since == 0 || now-time.Duration(since) < silentAtMost || l.suspected == since {
			continue
		}
		name := l.op.Load()
		if name == nil || now-time.Duration(since) < usual(*name) {
			continue
		}
		l.suspected = since
		op, found = *name, true
	}
	return op, found
}

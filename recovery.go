package perdure

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/perdure/perdure/breaker"
)

// reopen probes an open breaker's database until it answers, or somebody else
// has changed the breaker. A database that answers probes and fails calls is
// asked less often each time.
func (r *prober) reopen(ctx context.Context) {
	b := r.m.database.breaker
	defer r.next.Store(0)
	if again := r.relapse(); again > 0 && !r.pauseOpen(ctx, again) {
		return
	}
	for b.State() == breaker.Open {
		if b.Held() != breaker.NotHeld {
			if changed, _ := b.Wait(); b.Held() != breaker.NotHeld && !wait(ctx, changed) {
				return
			}
			continue
		}
		err := r.try(ctx)
		switch {
		case err == nil:
			b.HalfOpen()
			return
		case errors.Is(err, errNoProbe):
			if !r.awaitProbe(ctx, time.Until(b.NextProbe())) {
				return
			}
			continue
		}
		if !r.pauseOpen(ctx, probeInterval) {
			return
		}
	}
}

// awaitProbe half-opens the breaker after d, unless a probe is attached before,
// which then decides instead of time. It reports whether there is one.
func (r *prober) awaitProbe(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-r.hasProbe():
		return true
	case <-timer.C:
		r.m.database.breaker.HalfOpen()
	case <-ctx.Done():
	}
	return false
}

// hasProbe returns a channel that is closed while a probe is attached.
func (r *prober) hasProbe() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attached
}

// relapse returns how long to wait before an open breaker's database is asked
// for the first time: not at all, if the breaker was closed before it opened.
func (r *prober) relapse() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.relapses
	r.relapses = min(n+1, maxRelapses)
	if n == 0 {
		return 0
	}
	return probeInterval << (n - 1)
}

// pauseOpen waits for d, and up to as much again at random, or until somebody
// changes the breaker. It lets refused calls know until when.
func (r *prober) pauseOpen(ctx context.Context, d time.Duration) bool {
	changed, _ := r.m.database.breaker.Wait()
	d += rand.N(d) //nolint:gosec // jitter is no secret
	r.next.Store(int64(r.m.now() + d))
	r.m.database.epoch.Add(1) // what was told to refused calls is out of date
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
		return false
	}
	return true
}

// nextProbe returns when a call that an open gate refused may try again: when
// the prober asks the database next, or when the breaker is due. It is zero if
// that is not known, as for a breaker that is held.
func (g *gate) nextProbe() time.Time {
	due := g.breaker.NextProbe()
	if g != g.m.database || due.IsZero() {
		return due
	}
	if next := time.Duration(g.m.prober.next.Load()); next > 0 {
		return g.m.epoch.Add(next)
	}
	return due
}

// prove goes on probing a half-open breaker, so that slow calls do not keep it
// from closing.
func (r *prober) prove(ctx context.Context) {
	b := r.m.database.breaker
	changed, _ := b.Wait()
	if b.State() != breaker.HalfOpen {
		return
	}
	err := r.try(ctx)
	switch {
	case err == nil:
		b.ProbeSucceeded()
		pause(ctx, provingPause)
	case errors.Is(err, errNoProbe):
		select {
		case <-changed:
		case <-r.hasProbe():
		case <-ctx.Done():
		}
	case ctx.Err() == nil:
		b.Trip(breaker.ReasonProbe)
	}
}

// databaseChanged follows the database's breaker: whoever waits for good news
// gets it, and a breaker that is not closed is looked after.
func (m *Manager) databaseChanged(c breaker.Change) {
	m.mu.Lock()
	isUp := !isOpen(m.up)
	if up := c.To != breaker.Open; up != isUp {
		if up {
			close(m.up)
		} else {
			m.up = make(chan struct{})
		}
	}
	m.mu.Unlock()
	if c.To != breaker.Closed {
		m.prober.recover()
	}
}

func isOpen(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

// DatabaseUp returns a channel that is closed as soon as the database's
// breaker is not open: good news for whoever waits to ask it something.
func (m *Manager) DatabaseUp() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.up
}

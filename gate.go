package perdure

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/breaker"
)

// gate is a breaker with the calls that wait for it.
//
// Parked calls stand in line, first come first served. One goroutine for the
// whole line (the releaser) asks the breaker for permits and hands them out,
// so that what the breaker limits (a half-open breaker's probes, the ramp
// after it) is the pace of the release, however many wait. The releaser ends
// when it finds the line empty.
type gate struct {
	m       *Manager
	name    string
	breaker *breaker.Breaker
	epoch   atomic.Uint64 // changes when a refusal made earlier is out of date

	mu        sync.Mutex // guards the fields below
	line      []*waiter
	releasing bool

	silent bool // while restore runs, before the gate is shared
}

// waiter is a parked call.
type waiter struct {
	permit chan breaker.Permit // of size 1: the releaser never waits for a call
}

func newGate(m *Manager, name string, maker *breaker.Maker, onSuspect func(breaker.Evidence)) *gate {
	g := &gate{m: m, name: name}
	g.breaker = maker.New(breaker.Options{OnChange: g.changed, OnSuspect: onSuspect})
	return g
}

// restore brings back a saved state before the gate is known to anybody. Its
// change is not told: hooks must not run under the Manager's lock, and it
// happened in another process.
func (g *gate) restore(s breaker.Snapshot) error {
	g.silent = true
	defer func() { g.silent = false }()
	return g.breaker.Restore(s)
}

// changed is the breaker's hook.
func (g *gate) changed(c breaker.Change) {
	g.epoch.Add(1)
	if g.silent {
		return
	}
	if g.name == databaseName {
		g.m.databaseChanged(c)
	}
	if h := g.m.hooks.Load().BreakerChange; h != nil {
		h(BreakerEvent{Operation: g.name, Change: c})
	}
}

// errParkedTooLong ends the wait of a parked call; it never leaves the package.
var errParkedTooLong = errors.New("parked too long")

// wait parks the caller until the breaker admits it, for at most limit. It
// returns errParkedTooLong, ErrClosed, or the cause of ctx.
func (g *gate) wait(ctx context.Context, limit time.Duration) (breaker.Permit, error) {
	w := &waiter{permit: make(chan breaker.Permit, 1)}
	g.mu.Lock()
	g.line = append(g.line, w)
	if !g.releasing {
		g.releasing = g.m.goBackground(g.release)
	}
	g.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case p := <-w.permit:
		return p, nil
	case <-timer.C:
		err = errParkedTooLong
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-g.m.open.Done():
		err = ErrClosed
	}
	g.leave(w)
	return breaker.Permit{}, err
}

// leave takes w out of the line, and gives back a permit that came too late.
func (g *gate) leave(w *waiter) {
	g.mu.Lock()
	for i, other := range g.line {
		if other == w {
			g.line = append(g.line[:i], g.line[i+1:]...)
			break
		}
	}
	g.mu.Unlock()
	select {
	case p := <-w.permit:
		p.Ignore()
	default:
	}
}

// release hands out permits until the line is empty or the Manager is closed.
func (g *gate) release() {
	for {
		changed, at := g.breaker.Wait()
		if p, ok := g.breaker.Admit(); ok {
			if !g.hand(p) {
				p.Ignore()
				return
			}
			continue
		}
		if !g.sleep(changed, at) {
			return
		}
	}
}

// hand gives p to the first in line. It reports false, and the releaser ends,
// if nobody waits.
func (g *gate) hand(p breaker.Permit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.line) == 0 {
		g.releasing = false
		return false
	}
	g.line[0].permit <- p
	g.line[0] = nil
	g.line = g.line[1:]
	return true
}

// sleep waits until the breaker may admit somebody. It reports false, and the
// releaser ends, if nobody waits any longer or the Manager is closed.
func (g *gate) sleep(changed <-chan struct{}, at time.Time) bool {
	var due <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(max(time.Until(at), time.Millisecond))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-g.m.open.Done():
		g.mu.Lock()
		g.releasing = false
		g.mu.Unlock()
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.line) == 0 {
		g.releasing = false
		return false
	}
	return true
}

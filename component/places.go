package component

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// places are those that the running invocations of one method have, and the
// queue of those that wait for one, first come first served.
type places struct {
	max, maxQueued int

	mu        sync.Mutex // guards the fields below
	running   int        // the abandoned ones included
	abandoned int
	queue     []chan error
}

// busyError says that there is no place, and no sense in waiting for one.
type busyError struct{ text string }

func (e *busyError) Error() string { return e.text }

func busy(format string, args ...any) error {
	return &busyError{"busy: " + fmt.Sprintf(format, args...)}
}

// take takes a place, waiting for one until ctx ends. reentrant says that the
// caller holds one of the method's places already: it does not wait for others,
// since they may be waiting for it.
func (p *places) take(ctx context.Context, reentrant bool) error {
	p.mu.Lock()
	if p.running < p.max {
		p.running++
		p.mu.Unlock()
		return nil
	}
	if err := p.refuse(reentrant); err != nil {
		p.mu.Unlock()
		return err
	}
	turn := make(chan error, 1)
	p.queue = append(p.queue, turn)
	p.mu.Unlock()
	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.queue, turn)
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 && <-turn == nil { // it came just now
		p.leave()
	}
	return fmt.Errorf("while waiting for one of %d places: %w", p.max, context.Cause(ctx))
}

// refuse returns why it makes no sense to wait, or nil. It is called under mu.
func (p *places) refuse(reentrant bool) error {
	switch {
	case p.abandoned == p.max:
		return busy("all %d places are held by invocations that did not return after their context had ended", p.max)
	case reentrant:
		return busy("it invokes itself while all its %d places are taken", p.max)
	case len(p.queue) >= max(p.maxQueued, 0):
		return busy("%d invocations run and %d wait", p.running, len(p.queue))
	}
	return nil
}

// leave gives a place back, to the first that waits.
func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 {
		p.queue[0] <- nil
		p.queue = slices.Delete(p.queue, 0, 1)
		return
	}
	p.running--
}

// abandon says that an invocation is not waited for any more. It keeps its
// place. If none other is left, nobody waits for one.
func (p *places) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.abandoned++
	if p.abandoned == p.max {
		err := p.refuse(false)
		for _, turn := range p.queue {
			turn <- err
		}
		p.queue = nil
	}
}

// returned says that an abandoned invocation has ended after all.
func (p *places) returned() {
	p.mu.Lock()
	p.abandoned--
	p.mu.Unlock()
	p.leave()
}

// counts returns how many invocations run, the abandoned ones not included,
// wait, and are abandoned.
func (p *places) counts() (running, queued, abandoned int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running - p.abandoned, len(p.queue), p.abandoned
}

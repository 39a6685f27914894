package perdure

import (
	"context"
	"sync"
)

// outcomeKey is what outcomes are counted by.
type outcomeKey struct {
	resolution Resolution
	method     string
}

// BeginOutcome says that the outcome of a commit is being found out; Close
// waits until end is called. It returns ErrClosed if the Manager is closed:
// the outcome must then be found out without it.
func (m *Manager) BeginOutcome() (end func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing.Load() && m.pending == 0 {
		return nil, ErrClosed
	}
	m.pending++
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.pending--
		if m.pending == 0 && m.settled != nil {
			close(m.settled)
			m.settled = nil
		}
	}), nil
}

// noOutcomes returns a channel that is closed once no outcome is being found
// out.
func (m *Manager) noOutcomes() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled == nil {
		m.settled = make(chan struct{})
	}
	c := m.settled
	if m.pending == 0 {
		close(c)
		m.settled = nil
	}
	return c
}

// CommitOutcome counts how a commit in doubt ended, or what a Once did, and
// tells the hooks. It returns the correlation ID under which it did, for
// Judgement.CorrelationID.
func (m *Manager) CommitOutcome(ctx context.Context, e OutcomeEvent) (correlationID string) {
	m.mu.Lock()
	m.outcomes[outcomeKey{e.Resolution, e.Method}]++
	m.mu.Unlock()
	if h := m.hooks.Load().CommitOutcome; h != nil {
		if e.CorrelationID == "" {
			e.CorrelationID = m.knownID(ctx)
		}
		if e.CorrelationID == "" && e.Resolution != Run && e.Resolution != Remembered {
			e.CorrelationID = newID()
		}
		h(ctx, e)
	}
	return e.CorrelationID
}

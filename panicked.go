package perdure

import (
	"context"

	"github.com/perdure/perdure/pgerr"
)

// panicked ends a call whose work panicked.
func (m *Manager) panicked(ctx context.Context, op string, w *work) {
	now := m.now()
	took := now - w.began
	database, operation := w.take()
	database.Ignore()
	operation.Failure(took)
	v := pgerr.Verdict{Severity: pgerr.SeverityCritical, Effect: pgerr.EffectUnknown, Trips: pgerr.ScopeOperation}
	t := w.o.stats.troubled()
	t.failure(&v, took)
	t.end(now, now-w.start, w.n, ReasonPanicked)
	h := m.hooks.Load()
	if h.AttemptEnd == nil && h.CallEnd == nil {
		return
	}
	if w.id == "" {
		w.id = m.correlationID(ctx)
	}
	if h.AttemptEnd != nil {
		h.AttemptEnd(ctx, AttemptEvent{
			Op: op, Attempt: w.n, Duration: took, Err: ErrPanicked, Verdict: v, CorrelationID: w.id,
		})
	}
	if h.CallEnd != nil {
		h.CallEnd(ctx, CallEvent{
			Op: op, Attempts: w.n, Elapsed: now - w.start, Parked: w.parked,
			Reason: ReasonPanicked, Err: ErrPanicked, Verdict: v, CorrelationID: w.id,
		})
	}
}

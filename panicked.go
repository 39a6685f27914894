package perdure

import (
	"context"
	"time"

	"github.com/perdure/perdure/pgerr"
)

// work is what has to be known of an attempt in case that it panics.
type work struct {
	name   string
	o      *operation
	permit permit
	start  time.Duration // of the call
	began  time.Duration // of the attempt
	parked time.Duration
	n      int // of the attempt
	id     string
}

// panicked ends a call whose work panicked.
func (m *Manager) panicked(ctx context.Context, w *work) {
	now := m.now()
	took := now - w.began
	w.permit.database.Ignore()
	w.permit.operation.Failure(took)
	v := pgerr.Verdict{Severity: pgerr.SeverityCritical, Effect: pgerr.EffectUnknown, Trips: pgerr.ScopeOperation}
	t := w.o.stats.troubled()
	t.failure(v, took)
	t.end(now, now-w.start, w.n, false, ReasonPanicked)
	h := m.hooks.Load()
	if h.AttemptEnd == nil && h.CallEnd == nil {
		return
	}
	if w.id == "" {
		w.id = m.correlationID(ctx)
	}
	if h.AttemptEnd != nil {
		h.AttemptEnd(ctx, AttemptEvent{
			Op: w.name, Attempt: w.n, Duration: took, Err: ErrPanicked, Verdict: v, CorrelationID: w.id,
		})
	}
	if h.CallEnd != nil {
		h.CallEnd(ctx, CallEvent{
			Op: w.name, Attempts: w.n, Elapsed: now - w.start, Parked: w.parked,
			Reason: ReasonPanicked, Err: ErrPanicked, Verdict: v, CorrelationID: w.id,
		})
	}
}

package perdureotel

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pgerr"
)

// The names of the log events.
const (
	eventAttemptFailed  = "perdure.attempt.failed"
	eventCallRecovered  = "perdure.call.recovered"
	eventCallFailed     = "perdure.call.failed"
	eventCallParked     = "perdure.call.parked"
	eventCallReleased   = "perdure.call.released"
	eventBreakerChanged = "perdure.breaker.changed"
	eventBudgetSpent    = "perdure.budget.spent"
	eventCommitResolved = "perdure.commit.resolved"
)

// events writes what happens to a logger. Span events would say the same, but
// are being retired; the SDK takes the trace from the context.
type events struct {
	logger log.Logger
	base   []attribute.KeyValue
}

// hooks returns the hooks of the events. spans may be nil.
func (v *events) hooks(spans *spans) perdure.Hooks {
	return perdure.Hooks{
		AttemptEnd: func(ctx context.Context, e perdure.AttemptEvent) {
			if e.Err != nil {
				v.attempt(spans.within(ctx), e)
			}
		},
		CallEnd: v.call,
		BreakerChange: func(e perdure.BreakerEvent) {
			ctx := root()
			if spans != nil {
				ctx = spans.outages.context(e.Operation)
			}
			v.breaker(ctx, e)
		},
		BudgetSpent: func(ctx context.Context, e perdure.BudgetEvent) {
			v.emit(ctx, eventBudgetSpent, log.SeverityWarn, e.Op, e.CorrelationID,
				AttemptKey.Int(e.Attempt), attribute.Bool("perdure.waits", e.Waits))
		},
		CommitOutcome: v.commit,
		Parked: func(ctx context.Context, e perdure.ParkEvent) {
			v.emit(ctx, eventCallParked, log.SeverityInfo, e.Op, e.CorrelationID, BreakerKey.String(e.For))
		},
		Released: func(ctx context.Context, e perdure.ParkEvent) {
			v.emit(ctx, eventCallReleased, log.SeverityInfo, e.Op, e.CorrelationID, BreakerKey.String(e.For),
				ParkedKey.Float64(e.Waited.Seconds()))
		},
	}
}

// within returns the context of the repeat under way, if there is one.
func (s *spans) within(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	if c := s.call(ctx); c != nil && c.repeat != nil {
		return trace.ContextWithSpan(ctx, c.repeat)
	}
	return ctx
}

// attempt tells of an attempt that failed: an error that no repeat can help is
// the caller's own affair.
func (v *events) attempt(ctx context.Context, e perdure.AttemptEvent) {
	severity := log.SeverityWarn
	switch {
	case e.Verdict.Retry == pgerr.RetryNever && e.Verdict.Severity < pgerr.SeverityHigh:
		severity = log.SeverityDebug
	case e.Verdict.Severity == pgerr.SeverityLow:
		severity = log.SeverityInfo
	}
	v.emit(ctx, eventAttemptFailed, severity, e.Op, e.CorrelationID,
		append(describe(e.Verdict, reasonOf(e.Err)), AttemptKey.Int(e.Attempt))...)
}

func (v *events) call(ctx context.Context, e perdure.CallEvent) {
	kvs := []attribute.KeyValue{AttemptsKey.Int(e.Attempts), attribute.Float64("perdure.elapsed", e.Elapsed.Seconds())}
	if e.Err == nil {
		if e.Attempts > 1 {
			v.emit(ctx, eventCallRecovered, log.SeverityInfo, e.Op, e.CorrelationID, kvs...)
		}
		return
	}
	severity := log.SeverityError
	switch e.Reason { //nolint:exhaustive // the rest is an error
	case 0: // the error came back untouched
		severity = log.SeverityDebug
	case perdure.ReasonCanceled:
		severity = log.SeverityInfo
	case perdure.ReasonBreakerOpen:
		severity = log.SeverityWarn
	}
	kvs = append(kvs, describe(e.Verdict, e.Reason)...)
	if e.Reason != 0 {
		kvs = append(kvs, ReasonKey.String(e.Reason.String()))
	}
	v.emit(ctx, eventCallFailed, severity, e.Op, e.CorrelationID, kvs...)
}

func (v *events) breaker(ctx context.Context, e perdure.BreakerEvent) {
	severity := log.SeverityInfo
	if e.Opened() {
		severity = log.SeverityWarn
	}
	v.emit(ctx, eventBreakerChanged, severity, "", "", BreakerKey.String(e.Operation),
		FromKey.String(e.Change.From.String()), ToKey.String(e.Change.To.String()),
		HeldKey.String(e.Change.Held.String()), ReasonKey.String(e.Change.Reason))
}

func (v *events) commit(ctx context.Context, e perdure.OutcomeEvent) {
	severity := log.SeverityInfo
	switch e.Resolution {
	case perdure.Undecided:
		severity = log.SeverityError
	case perdure.Run, perdure.Remembered:
		severity = log.SeverityDebug
	case perdure.Committed, perdure.Aborted:
	}
	kvs := []attribute.KeyValue{
		ResolutionKey.String(string(e.Resolution)), MethodKey.String(e.Method),
		attribute.Float64("perdure.elapsed", e.Took.Seconds()),
	}
	if e.Key != "" {
		kvs = append(kvs, KeyKey.String(e.Key))
	}
	v.emit(ctx, eventCommitResolved, severity, e.Op, e.CorrelationID, kvs...)
}

// emit writes an event, unless ctx belongs to a trace that is not sampled: as
// with span events, the sampler decides what a storm may cost.
func (v *events) emit(ctx context.Context, name string, severity log.Severity, op, id string, kvs ...attribute.KeyValue) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() && !sc.IsSampled() {
		return
	}
	if !v.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: name}) {
		return
	}
	var r log.Record
	r.SetTimestamp(time.Now())
	r.SetEventName(name)
	r.SetSeverity(severity)
	r.SetSeverityText(severity.String())
	all := slices.Concat(v.base, kvs)
	if op != "" {
		all = append(all, semconv.DBOperationName(op))
	}
	if id != "" {
		all = append(all, CorrelationIDKey.String(id))
	}
	r.AddAttributes(all...)
	v.logger.Emit(ctx, r)
}

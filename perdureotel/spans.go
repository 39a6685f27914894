package perdureotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/perdure/perdure"
)

// spans makes a span for each call, one for each attempt after the first as
// its child, and one for each outage. The first attempt has none of its own:
// nearly always it is the call.
type spans struct {
	tracer     trace.Tracer
	operations *operations
	outages    outages
}

func newSpans(tracer trace.Tracer, base []attribute.KeyValue, all *operations) *spans {
	return &spans{tracer: tracer, operations: all, outages: outages{tracer: tracer, base: base}}
}

type callKey struct{ s *spans }

// call is the span of a call and that of its repeat under way, if there is
// one. It is the call's goroutine's own.
type call struct {
	span   trace.Span
	repeat trace.Span
}

// call returns the call that ctx belongs to. Each call has one of its own, so
// that this is never an outer one.
func (s *spans) call(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{s}).(*call)
	return c
}

func (s *spans) hooks() perdure.Hooks {
	return perdure.Hooks{
		CallStart:  s.callStart,
		Repeat:     s.repeat,
		AttemptEnd: s.attemptEnd,
		CallEnd:    s.callEnd,
		Parked:     s.parked,
	}
}

func (s *spans) callStart(ctx context.Context, e perdure.CallStartEvent) context.Context {
	o := s.operations.get(e.Op)
	ctx, span := s.tracer.Start(ctx, o.name, o.start...)
	return context.WithValue(ctx, callKey{s}, &call{span: span})
}

func (s *spans) repeat(ctx context.Context, e perdure.RepeatEvent) context.Context {
	c := s.call(ctx)
	if c == nil {
		return ctx
	}
	o := s.operations.get(e.Op)
	ctx, c.repeat = s.tracer.Start(ctx, o.attempt, o.start...)
	if c.repeat.IsRecording() {
		c.repeat.SetAttributes(AttemptKey.Int(e.Attempt), WaitedKey.Float64(e.Waited.Seconds()))
	}
	return ctx
}

func (s *spans) attemptEnd(ctx context.Context, e perdure.AttemptEvent) {
	c := s.call(ctx)
	if c == nil || c.repeat == nil {
		return
	}
	if e.Err != nil && c.repeat.IsRecording() {
		reason := reasonOf(e.Err)
		c.repeat.SetAttributes(describe(e.Verdict, reason)...)
		c.repeat.SetStatus(codes.Error, failureOf(e.Verdict, reason).kind)
	}
	c.repeat.End()
	c.repeat = nil
}

func (s *spans) callEnd(ctx context.Context, e perdure.CallEvent) {
	c := s.call(ctx)
	if c == nil {
		return
	}
	if c.span.IsRecording() {
		s.describe(c.span, e)
	}
	c.span.End()
}

// describe says how a call ended. A status describes an error by its type: the
// text of an error may hold data.
func (s *spans) describe(span trace.Span, e perdure.CallEvent) {
	span.SetAttributes(AttemptsKey.Int(e.Attempts))
	if e.Parked > 0 {
		span.SetAttributes(ParkedKey.Float64(e.Parked.Seconds()))
	}
	if e.CorrelationID != "" {
		span.SetAttributes(CorrelationIDKey.String(e.CorrelationID))
	}
	if e.Err == nil {
		return
	}
	if e.Reason == perdure.ReasonBreakerOpen && e.Parked == 0 {
		s.outages.link(span, databaseName, e.Op)
	}
	if e.Reason != 0 {
		span.SetAttributes(ReasonKey.String(e.Reason.String()))
	}
	span.SetAttributes(describe(e.Verdict, e.Reason)...)
	span.SetStatus(codes.Error, failureOf(e.Verdict, e.Reason).kind)
}

// parked links a call that waits to the outage that it waits for.
func (s *spans) parked(ctx context.Context, e perdure.ParkEvent) {
	if c := s.call(ctx); c != nil && c.span.IsRecording() {
		s.outages.link(c.span, e.For)
	}
}

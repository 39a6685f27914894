package perdureotel

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/perdure/perdure"
)

// outageName is the name of the span of an outage.
const outageName = "perdure.outage"

// outages keeps a span for each breaker that is not closed, as the root of a
// trace of its own, from opening to closing. Calls that parked for the breaker
// or were refused by it link to it, so that one step leads from any of them to
// what they waited for, and the events of the outage stand in one trace.
type outages struct {
	tracer trace.Tracer
	base   []attribute.KeyValue

	mu      sync.Mutex // guards the fields below
	open    map[string]trace.Span
	stopped bool
}

// begin begins an outage when a breaker ceases to be closed.
func (a *outages) begin(e perdure.BreakerEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, open := a.open[e.Operation]; open || closed(e) || a.stopped {
		return
	}
	_, span := a.tracer.Start(root(), outageName, trace.WithNewRoot(), trace.WithTimestamp(e.Change.At),
		trace.WithAttributes(append(slices.Clip(a.base), BreakerKey.String(e.Operation), ReasonKey.String(e.Change.Reason),
			HeldKey.String(e.Change.Held.String()))...))
	if a.open == nil {
		a.open = map[string]trace.Span{}
	}
	a.open[e.Operation] = span
}

// end ends it when the breaker is closed again.
func (a *outages) end(e perdure.BreakerEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if span, open := a.open[e.Operation]; open && closed(e) {
		span.End(trace.WithTimestamp(e.Change.At))
		delete(a.open, e.Operation)
	}
}

func closed(e perdure.BreakerEvent) bool { return e.Change.To.String() == "closed" }

// span returns the span of a breaker's outage, or nil.
func (a *outages) span(breaker string) trace.Span {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open[breaker]
}

// context returns the context of a breaker's outage, or one without a span.
func (a *outages) context(breaker string) context.Context {
	if span := a.span(breaker); span != nil {
		return trace.ContextWithSpan(root(), span)
	}
	return root()
}

// link links span to the first of the breakers that has an outage.
func (a *outages) link(span trace.Span, breakers ...string) {
	for _, name := range breakers {
		if outage := a.span(name); outage != nil {
			span.AddLink(trace.Link{
				SpanContext: outage.SpanContext(), Attributes: []attribute.KeyValue{BreakerKey.String(name)},
			})
			return
		}
	}
}

// stop ends what is open.
func (a *outages) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	for name, span := range a.open {
		span.End()
		delete(a.open, name)
	}
}

package perdureotel

import (
	"context"
	"slices"
	"sync"

	"github.com/perdure/perdure"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
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
	open    map[string]context.Context
	stopped bool
}

// begin begins an outage when a breaker ceases to be closed.
func (a *outages) begin(e perdure.BreakerEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, open := a.open[e.Operation]; open || closed(e) || a.stopped {
		return
	}
	ctx, _ := a.tracer.Start(root(), outageName, trace.WithNewRoot(), trace.WithTimestamp(e.Change.At),
		trace.WithAttributes(append(slices.Clip(a.base), BreakerKey.String(e.Operation), ReasonKey.String(e.Change.Reason),
			HeldKey.String(e.Change.Held.String()))...))
	if a.open == nil {
		a.open = map[string]context.Context{}
	}
	a.open[e.Operation] = ctx
}

// end ends it when the breaker is closed again.
func (a *outages) end(e perdure.BreakerEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx, open := a.open[e.Operation]; open && closed(e) {
		trace.SpanFromContext(ctx).End(trace.WithTimestamp(e.Change.At))
		delete(a.open, e.Operation)
	}
}

func closed(e perdure.BreakerEvent) bool { return e.Change.To.String() == "closed" }

// context returns the context of an operation's outage, or one without a span.
func (a *outages) context(operation string) context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx, ok := a.open[operation]; ok {
		return ctx
	}
	return root()
}

// link links span to the first of the breakers that has an outage.
func (a *outages) link(span trace.Span, breakers ...string) {
	for _, name := range breakers {
		if sc := trace.SpanContextFromContext(a.context(name)); sc.IsValid() {
			span.AddLink(trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{BreakerKey.String(name)}})
			return
		}
	}
}

// stop ends what is open.
func (a *outages) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	for name, ctx := range a.open {
		trace.SpanFromContext(ctx).End()
		delete(a.open, name)
	}
}

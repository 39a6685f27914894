package otelpipeline

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/perdure/perdure/perdureotel"
	"github.com/perdure/perdure/pipeline"
)

// The attributes of runs and steps.
const (
	PipelineKey = attribute.Key("perdure.pipeline") // its name
	RunKey      = attribute.Key("perdure.run")      // the run's name, which is also its correlation ID
	StepKey     = attribute.Key("perdure.step")     // the step's name
	ItemKey     = attribute.Key("perdure.item")     // index of an item, from 0: its name may be data
	ListingKey  = attribute.Key("perdure.listing")  // the task listed the items of its step
	StatusKey   = attribute.Key("perdure.status")   // of the run or step: succeeded, failed, canceled …
	ItemsKey    = attribute.Key("perdure.items")    // how many the step had
)

// Run is a run that is traced. It is safe for concurrent use.
type Run struct {
	tracer trace.Tracer
	plan   pipeline.Plan
	span   trace.Span
	items  map[string]bool // steps that have some

	mu    sync.Mutex            // guards the field below
	steps map[string]trace.Span // that are under way
}

// Start begins the span of a run, as a child of that in ctx if there is one. The
// run is to be run under the context that it returns, and End be called at its end.
// A nil provider traces nothing.
func Start(ctx context.Context, tp trace.TracerProvider, p pipeline.Plan) (context.Context, *Run) {
	r := &Run{tracer: tracer(tp), plan: p, items: map[string]bool{}, steps: map[string]trace.Span{}}
	for _, s := range p.Steps {
		r.items[s.Name] = s.Items || len(s.ForEach) > 0
	}
	ctx, r.span = r.tracer.Start(ctx, "run "+p.Pipeline, trace.WithAttributes(
		PipelineKey.String(p.Pipeline), RunKey.String(p.Run), perdureotel.CorrelationIDKey.String(p.Run)))
	return ctx, r
}

// Around is for pipeline.Env.Around: the task runs in the span of its step, or in
// one of its own below it.
func (r *Run) Around(ctx context.Context, name string, t pipeline.Task) (context.Context, func(error)) {
	step := r.step(t.Step)
	ctx = trace.ContextWithSpan(ctx, step)
	if t.Attempt <= 1 && (t.Listing || !r.items[t.Step]) { // nearly always it is all that the step does
		return ctx, func(error) {}
	}
	return begin(ctx, r.tracer, name, t)
}

// step returns the span of a step, and begins it with its first task.
func (r *Run) step(name string) trace.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	span := r.steps[name]
	if span == nil {
		_, span = r.tracer.Start(trace.ContextWithSpan(background(), r.span), "step "+name, trace.WithAttributes(
			PipelineKey.String(r.plan.Pipeline), RunKey.String(r.plan.Run), StepKey.String(name)))
		r.steps[name] = span
	}
	return span
}

// Observe is for pipeline.Options.Observe: it ends the spans of steps.
func (r *Run) Observe(e pipeline.Event) {
	if e.Kind != pipeline.EventStepEnded {
		return
	}
	r.mu.Lock()
	span := r.steps[e.Step]
	delete(r.steps, e.Step)
	r.mu.Unlock()
	if span == nil { // it was not run, or in an earlier try
		return
	}
	if span.IsRecording() {
		span.SetAttributes(StatusKey.String(string(e.Status)), perdureotel.AttemptsKey.Int(e.Attempts))
		if e.Total > 0 {
			span.SetAttributes(ItemsKey.Int(e.Total))
		}
		if e.Failure != nil {
			failed(span, e.Failure)
		}
	}
	span.End()
}

// End ends the span of the run, and of steps that have not ended.
func (r *Run) End(report pipeline.Report, err error) {
	r.mu.Lock()
	for name, span := range r.steps {
		span.SetAttributes(StatusKey.String(string(pipeline.StatusCanceled)))
		span.End()
		delete(r.steps, name)
	}
	r.mu.Unlock()
	status := report.Status
	if status == "" && err != nil { // nothing was begun
		status = pipeline.StatusFailed
	}
	r.span.SetAttributes(StatusKey.String(string(status)))
	if err != nil {
		failed(r.span, failureOf(err))
	}
	r.span.End()
}

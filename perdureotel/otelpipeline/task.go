package otelpipeline

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/perdure/perdure/perdureotel"
	"github.com/perdure/perdure/pipeline"
)

// ScopeName is the name of the instrumentation scope.
const ScopeName = "github.com/perdure/perdure/perdureotel/otelpipeline"

func tracer(tp trace.TracerProvider) trace.Tracer {
	if tp == nil {
		tp = noop.NewTracerProvider()
	}
	return tp.Tracer(ScopeName, trace.WithSchemaURL(perdureotel.SchemaURL))
}

// Around is for pipeline.Env.Around of a process that runs tasks of other
// processes' runs, such as a worker: each task has a span of its own, the child of
// that in its context if the engine passed one on. All of a run are found by
// their attribute perdure.run. A nil provider traces nothing.
func Around(tp trace.TracerProvider) func(ctx context.Context, pipeline string, t pipeline.Task) (context.Context, func(error)) {
	tr := tracer(tp)
	return func(ctx context.Context, name string, t pipeline.Task) (context.Context, func(error)) {
		return begin(ctx, tr, name, t)
	}
}

// begin begins the span of a task.
func begin(ctx context.Context, tr trace.Tracer, name string, t pipeline.Task) (context.Context, func(error)) {
	ctx, span := tr.Start(ctx, "task "+t.Step, trace.WithAttributes(
		PipelineKey.String(name), RunKey.String(t.Run), StepKey.String(t.Step), perdureotel.AttemptKey.Int(t.Attempt)))
	switch {
	case !span.IsRecording():
	case t.Listing:
		span.SetAttributes(ListingKey.Bool(true))
	case t.Item != "":
		span.SetAttributes(ItemKey.Int(t.Index))
	}
	return ctx, func(err error) {
		if err != nil {
			failed(span, pipeline.NewFailure(err))
		}
		span.End()
	}
}

// failed says of a failure what holds no data.
func failed(span trace.Span, f *pipeline.Failure) {
	kind := "_OTHER"
	switch {
	case f.SQLState != "":
		kind = f.SQLState
		span.SetAttributes(semconv.DBResponseStatusCode(f.SQLState))
	case f.Reason != "":
		kind = f.Reason
	case errors.Is(f.Err, context.Canceled), errors.Is(f.Err, pipeline.ErrStopped):
		kind = "canceled"
	case errors.Is(f.Err, context.DeadlineExceeded):
		kind = "timeout"
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	if f.Reason != "" {
		span.SetAttributes(perdureotel.ReasonKey.String(f.Reason))
	}
	span.SetStatus(codes.Error, kind)
}

func failureOf(err error) *pipeline.Failure {
	if e, ok := errors.AsType[*pipeline.StepError](err); ok {
		return e.Failure
	}
	return pipeline.NewFailure(err)
}

// background is the context of a step's span, which belongs to no one task.
func background() context.Context { return context.Background() } //nolint:forbidigo // see above

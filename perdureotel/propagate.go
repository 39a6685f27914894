package perdureotel

import (
	"context"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// TraceID returns the ID of the trace that ctx belongs to, or "". [Instrument]
// makes it the correlation ID of calls that were given none.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// IDs returns the trace and span that ctx belongs to, in hexadecimal, or "".
// It is what perdurelog.Config.Trace wants.
func IDs(ctx context.Context) (traceID, spanID string) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return sc.TraceID().String(), sc.SpanID().String()
	}
	return "", ""
}

// SQLComment appends the W3C trace context of ctx to a statement as a comment,
// in the manner of sqlcommenter:
//
//	select 1
//	/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/
//
// The server's log and pg_stat_activity then lead back to the trace. Without a
// sampled trace sql comes back as it is.
//
// Nothing in perdure calls it: the text of the statement differs from call to
// call, so that caches of prepared statements never hit. Use it where that
// does not matter, or with pgx.QueryExecModeExec.
func SQLComment(ctx context.Context, sql string) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return sql
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	var b strings.Builder
	b.WriteString(sql)
	b.WriteString("\n/*") // on a line of its own: the last one may end in a comment
	comma := ""
	for _, key := range []string{"traceparent", "tracestate"} { // sqlcommenter sorts its keys
		if value := carrier.Get(key); value != "" {
			b.WriteString(comma + key + "='" + url.PathEscape(value) + "'")
			comma = ","
		}
	}
	b.WriteString("*/")
	return b.String()
}

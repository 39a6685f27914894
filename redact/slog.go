package redact

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// ReplaceAttr is a slog.HandlerOptions.ReplaceAttr that redacts, see
// [Redactor.Attr]. The message of a record is an attribute there too.
func ReplaceAttr(_ []string, a slog.Attr) slog.Attr { return Redactor{}.Attr(a) }

// Handler returns a handler that redacts what it is given and hands it to next,
// see [Redactor.Attr].
func Handler(next slog.Handler) slog.Handler { return Redactor{}.Handler(next) }

// Attr returns a with its value redacted:
//
//   - An attribute whose key names a secret ([SecretKey]), and one named args,
//     params, detail, hint, where, context, row or internal_query: [Mark].
//   - One named sql, query or statement: as [SQL] has it.
//   - An error: as [Error] has it.
//   - A string, a []string, and what a fmt.Stringer says: as [Text] has it.
//   - Numbers, booleans, times and durations: as they are.
//   - A group: its attributes, one by one. A slog.LogValuer: what it returns.
//   - Anything else, whose parts cannot be judged: its type and [Mark].
func (r Redactor) Attr(a slog.Attr) slog.Attr {
	const maxNested = 16
	return r.attr(a, maxNested)
}

func (r Redactor) attr(a slog.Attr, nested int) (out slog.Attr) {
	defer func() {
		if recover() != nil { // a method of the value
			out = slog.String(a.Key, Mark)
		}
	}()
	key := strings.ToLower(a.Key)
	switch {
	case nested == 0:
		return slog.String(a.Key, Mark)
	case word(key, "args", "params", "arguments", "parameters", "detail", "hint", "where", "context", "row", "internal_query") != "" || SecretKey(key):
		return slog.String(a.Key, Mark)
	}
	v := a.Value.Resolve()
	switch v.Kind() { //nolint:exhaustive // the others hold numbers and times
	case slog.KindGroup:
		attrs := v.Group()
		safe := make([]slog.Attr, len(attrs))
		for i := range attrs {
			safe[i] = r.attr(attrs[i], nested-1)
		}
		v = slog.GroupValue(safe...)
	case slog.KindString:
		v = slog.StringValue(r.named(key, v.String()))
	case slog.KindAny:
		v = r.value(key, v.Any())
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// named redacts a string by the key it stands under.
func (r Redactor) named(key, s string) string {
	if word(key, "sql", "query", "statement") != "" {
		return r.SQL(s)
	}
	return r.Text(s)
}

func (r Redactor) value(key string, v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case *slog.Source, slog.Level, time.Month, time.Weekday:
		return slog.AnyValue(v)
	case error:
		return slog.StringValue(r.Error(v))
	case []string:
		safe := make([]string, len(v))
		for i := range v {
			safe[i] = r.named(key, v[i])
		}
		return slog.AnyValue(safe)
	case fmt.Stringer:
		return slog.StringValue(r.named(key, v.String()))
	}
	return slog.StringValue(bound(fmt.Sprintf("%s (%.80T)", Mark, v), maxMessage))
}

// Handler is [Handler] with the program's own rules.
func (r Redactor) Handler(next slog.Handler) slog.Handler { return &handler{r: r, next: next} }

// handler redacts records on their way to next.
type handler struct {
	r    Redactor
	next slog.Handler
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, rec slog.Record) error {
	safe := slog.NewRecord(rec.Time, rec.Level, h.r.Text(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		safe.AddAttrs(h.r.Attr(a))
		return true
	})
	return h.next.Handle(ctx, safe)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	safe := make([]slog.Attr, len(attrs))
	for i := range attrs {
		safe[i] = h.r.Attr(attrs[i])
	}
	return &handler{r: h.r, next: h.next.WithAttrs(safe)}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{r: h.r, next: h.next.WithGroup(name)}
}

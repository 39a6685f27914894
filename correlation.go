package perdure

import (
	"context"
	"crypto/rand"
)

type correlationKey struct{}

// WithCorrelationID returns a context whose calls carry id on every event,
// log line, span, audit record and error. Without one, a call makes one for
// itself when it first fails.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, correlationKey{}, id)
}

// CorrelationID returns the id that [WithCorrelationID] put into ctx, or "".
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

// correlationID returns the context's id or a new one of 26 random characters
// (130 bits: never the same twice).
func correlationID(ctx context.Context) string {
	if id := CorrelationID(ctx); id != "" {
		return id
	}
	return rand.Text()
}

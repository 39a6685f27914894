package perdure

import (
	"context"
	"math/rand/v2"
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

const (
	correlationLen      = 26
	correlationAlphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32: no i, l, o, u
)

// correlationID returns the context's id, or a new one of 26 characters with
// 128 random bits. It identifies, it does not protect: the runtime's generator
// is enough.
func correlationID(ctx context.Context) string {
	if id := CorrelationID(ctx); id != "" {
		return id
	}
	var id [correlationLen]byte
	hi, lo := rand.Uint64(), rand.Uint64() //nolint:gosec // see above
	for i := range id {
		id[i] = correlationAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(id[:])
}

package perdure

import (
	"context"
	"encoding/binary"
	"encoding/hex"
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

// correlationID returns the context's id, or a new one of 128 random bits in
// hexadecimal, as a trace's is. It identifies, it does not protect: the
// runtime's generator is enough.
func correlationID(ctx context.Context) string {
	if id := CorrelationID(ctx); id != "" {
		return id
	}
	var bits [16]byte
	binary.LittleEndian.PutUint64(bits[:8], rand.Uint64()) //nolint:gosec // see above
	binary.LittleEndian.PutUint64(bits[8:], rand.Uint64()) //nolint:gosec // see above
	var id [2 * len(bits)]byte
	hex.Encode(id[:], bits[:])
	return string(id[:])
}

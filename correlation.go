package perdure

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

type correlationKey struct{}

// WithCorrelationID returns a context whose calls carry id on every event,
// log line, span, audit record and error. Without one, a call takes that of its
// trace (see [Hooks].CorrelationID) or makes one for itself when it first fails.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, correlationKey{}, id)
}

// CorrelationID returns the id that [WithCorrelationID] put into ctx, or "".
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

// knownID returns the context's id, or that of its trace, or "".
func (m *Manager) knownID(ctx context.Context) string {
	if id := CorrelationID(ctx); id != "" {
		return id
	}
	if h := m.hooks.Load().CorrelationID; h != nil {
		return h(ctx)
	}
	return ""
}

// correlationID returns the context's id, or that of its trace, or a new one.
func (m *Manager) correlationID(ctx context.Context) string {
	if id := m.knownID(ctx); id != "" {
		return id
	}
	return newID()
}

// newID returns 128 random bits in hexadecimal, as a trace's id is. It
// identifies, it does not protect: the runtime's generator is enough.
func newID() string {
	var bits [16]byte
	binary.LittleEndian.PutUint64(bits[:8], rand.Uint64()) //nolint:gosec // see above
	binary.LittleEndian.PutUint64(bits[8:], rand.Uint64()) //nolint:gosec // see above
	var id [2 * len(bits)]byte
	hex.Encode(id[:], bits[:])
	return string(id[:])
}

package perdure

import (
	"context"
	"fmt"

	"github.com/perdure/perdure/pgerr"
)

const maxNameLen = 100

// Reserved names: metrics use them for the database's own breaker and for
// calls beyond Config.MaxOperations.
const (
	databaseName = "database"
	otherName    = "other"
)

// Op names a kind of database work and says what is known of it. Declare it
// once, as a package variable beside the SQL that it names, and pass it by
// value: an Op is plain data.
type Op struct {
	// Name is the metric label, the span name and the audit key: 1 to 100 of
	// [A-Za-z0-9._-], low in cardinality, dotted, such as "features.load".
	// The names "database" and "other" are reserved.
	Name string
	// Idempotent says that doing the work twice is the same as doing it once.
	// Do and Get repeat only such work, or work that is ReadOnly.
	Idempotent bool
	// ReadOnly says that the work changes nothing. Adapters enforce it where
	// the server can (a READ ONLY transaction).
	ReadOnly bool
	// Policy overrides the Manager's policies for this operation, field by
	// field. It must not be changed once the Op has been used. Nil means none.
	Policy *Policy
}

// repeatable reports whether repeating the operation blindly does no harm.
func (o Op) repeatable() bool { return o.Idempotent || o.ReadOnly }

// validName returns an error that names what is wrong with an operation's
// name, or nil.
func validName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("operation name is empty: want 1 to %d of [A-Za-z0-9._-]", maxNameLen)
	case len(name) > maxNameLen:
		return fmt.Errorf("operation name %.20q… has %d bytes: want 1 to %d", name, len(name), maxNameLen)
	case name == databaseName || name == otherName:
		return fmt.Errorf("operation name %q is reserved", name)
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fmt.Errorf("operation name %q: byte %d is not one of [A-Za-z0-9._-]", name, i)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

type opKey struct{}

// WithOp returns a context under which an adapter runs its next statements as
// op, instead of naming them from their SQL.
func WithOp(ctx context.Context, op Op) context.Context {
	return context.WithValue(ctx, opKey{}, op)
}

// OpFrom returns the operation that [WithOp] put into ctx.
func OpFrom(ctx context.Context) (Op, bool) {
	op, ok := ctx.Value(opKey{}).(Op)
	return op, ok
}

// Repeat says what an adapter knows about repeating an attempt that failed.
type Repeat uint8

// The kinds of knowledge.
const (
	// RepeatByOp: nothing is known; repeat only an Idempotent or ReadOnly
	// operation, and only if the verdict allows it.
	RepeatByOp Repeat = iota
	// RepeatSafe: nothing of the attempt remains on the server; repeat if the
	// verdict allows it.
	RepeatSafe
	// RepeatNever: do not repeat.
	RepeatNever
)

// Judgement is what guarded work (see [Manager.Guarded]) knows about an
// attempt that failed. The zero Judgement knows nothing: the Manager
// classifies the error and goes by the Op.
type Judgement struct {
	// Verdict is the adapter's own verdict. The zero Verdict means that the
	// Manager classifies the error.
	Verdict pgerr.Verdict
	// Repeat says whether a repeat can do harm.
	Repeat Repeat
	// Reason is why the work is not repeated, if Repeat is RepeatNever and a
	// reason is known; such an error is always wrapped in an *Error.
	Reason Reason
	// Hint tells a person what to do. It goes into Error.Hint.
	Hint string
	// CorrelationID is the ID under which the adapter has told of the attempt
	// (see [Manager.CommitOutcome]); the call takes it unless it has one.
	CorrelationID string
}

package audit

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// ErrRecord is found in the errors of records that cannot be stored as they
// are. Nothing was written.
var ErrRecord = errors.New("invalid audit record")

// Kind says what a record is about. Callers may use kinds of their own: 1 to 64
// of [a-z0-9._-] that do not begin with "trail.", which are the trail's.
type Kind string

// The kinds.
const (
	KindBreaker       Kind = "breaker"       // a circuit breaker changed its state
	KindHold          Kind = "hold"          // a person held or released a breaker
	KindConfiguration Kind = "configuration" // what is in force from here on
	KindGiveUp        Kind = "give_up"       // a call ended without success
	KindOutcome       Kind = "outcome"       // a commit in doubt was resolved, or could not be
	KindRun           Kind = "run"           // a pipeline run began or ended
	KindInvocation    Kind = "invocation"    // a method of a component was invoked
	KindAdmin         Kind = "admin"         // a change was asked for on the admin listener
	KindDropped       Kind = "dropped"       // records were lost before they reached the trail

	KindOpened     Kind = "trail.opened"     // a writer opened the trail
	KindHealed     Kind = "trail.healed"     // an unfinished last line was cut off
	KindCheckpoint Kind = "trail.checkpoint" // a signed checkpoint over all records before it

	ownKinds = "trail."
)

// Record is one thing that happened. All fields but Text hold names, codes and
// numbers that the program chose; they are stored as they are.
type Record struct {
	// Time is when it happened. Zero means now. It is stored in UTC, in microseconds.
	Time time.Time
	// Kind is the only field that must be set.
	Kind Kind
	// Manager names the perdure.Manager that it belongs to.
	Manager string
	// Subject is what it is about: an operation, a breaker, a run, a path.
	Subject string
	// Action is what happened to the subject, in one word or two: "open", "hold-closed", "committed".
	Action string
	// Actor is who wanted it; empty when nobody did.
	Actor string
	// CorrelationID ties the record to log lines, traces and errors.
	CorrelationID string
	// Fields are further facts: strings, booleans, integers and finite floating-point numbers.
	// A stored number is read back as a json.Number.
	Fields map[string]any
	// Text is free text. It may hold anything, so it is stored as Config.Sanitize returns it. The
	// text of an error is better made by redact.Error.
	Text string
}

// Entry is a record as it is stored.
type Entry struct {
	Record

	Seq  uint64 // counted from 1, across files
	Prev string // SHA-256 of the record before it, in hexadecimal
	Hash string // SHA-256 of this one
	Note string // the signed note of a KindCheckpoint
	File string // base name of the file
	Line int    // counted from 1
	Raw  []byte // the line as it stands in the file, without the newline
}

// check returns what is wrong with r.
func (r *Record) check() error {
	if err := checkKind(r.Kind); err != nil {
		return err
	}
	if strings.HasPrefix(string(r.Kind), ownKinds) {
		return fmt.Errorf("%w: kind %q: %s* belongs to the trail", ErrRecord, r.Kind, ownKinds)
	}
	if y := r.Time.UTC().Year(); y < 0 || y > 9999 {
		return fmt.Errorf("%w: time: the year %d cannot be written", ErrRecord, y)
	}
	for name, v := range r.Fields {
		switch v := v.(type) {
		case string, bool, int, int32, int64, uint, uint32, uint64:
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%w: fields.%s: %v is not finite", ErrRecord, name, v)
			}
		default:
			return fmt.Errorf("%w: fields.%s: a %T is no string, boolean or number", ErrRecord, name, v)
		}
	}
	return nil
}

func checkKind(k Kind) error {
	valid := k != "" && len(k) <= 64
	for _, c := range []byte(k) {
		valid = valid && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !valid {
		return fmt.Errorf("%w: kind %q: want 1 to 64 of [a-z0-9._-]", ErrRecord, k)
	}
	return nil
}

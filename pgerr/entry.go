package pgerr

import "iter"

//go:generate go run ./internal/gen

// Entry is one line of the project's SQLSTATE table, pgerr/sqlstate.csv.
type Entry struct {
	// SQLState is the five-character code.
	SQLState string
	// Condition is PostgreSQL's name for it, such as serialization_failure.
	Condition string
	// Category, Severity, Retry, Effect and Trips are those of the [Verdict]
	// that the code alone gets; [ClassifyFields] lists what else can decide.
	Category Category
	Severity Severity
	Retry    Retry
	Effect   Effect
	Trips    Scope
	// MessageSafe says that the server's message for this code holds no data
	// of the user's, only names of objects, so that it may be logged.
	MessageSafe bool
	// Why gives the reason, and the exceptions.
	Why string
}

// Verdict returns what the code alone means.
func (e Entry) Verdict() (v Verdict) {
	e.verdict(&v)
	return v
}

// verdict writes in place, field by field: a copy of a Verdict that has just been
// written so waits until its bytes are in the cache, which takes longer than
// all the rest.
func (e *Entry) verdict(v *Verdict) {
	v.SQLState, v.Category, v.Severity = e.SQLState, e.Category, e.Severity
	v.Retry, v.Effect, v.Trips = e.Retry, e.Effect, e.Trips
}

// Lookup returns the entry of a five-character SQLSTATE. It reports false for
// a code that the table does not have; [ClassifyFields] judges such a code by
// its class. It does not allocate and may be called concurrently.
func Lookup(sqlstate string) (Entry, bool) {
	i := find(sqlstate)
	if i < 0 {
		return Entry{}, false
	}
	return table[i], true
}

// All returns every entry of the table, in the order of the codes.
func All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range table {
			if !yield(table[i]) {
				return
			}
		}
	}
}

// find returns the place of a code in the tables, or -1.
func find(sqlstate string) int {
	if len(sqlstate) != 5 {
		return -1
	}
	packed := pack(sqlstate)
	i := int(slots[packed*slotFactor>>slotShift]) - 1
	if i >= 0 && codes[i] == packed {
		return i
	}
	return -1
}

// pack makes a number of a five-byte code.
func pack(s string) uint64 {
	_ = s[4]
	return uint64(s[0])<<32 | uint64(s[1])<<24 | uint64(s[2])<<16 | uint64(s[3])<<8 | uint64(s[4])
}

// isSQLState reports whether s has the shape of a SQLSTATE: five of [0-9A-Z].
func isSQLState(s string) bool {
	if len(s) != 5 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

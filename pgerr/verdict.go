// Package pgerr says what a PostgreSQL error means for the work that met it:
// what kind of trouble it is, how bad, whether and how a repeat can help,
// whether the failed statement may have taken effect all the same, and whose
// circuit breaker it is evidence for.
//
// The package knows no driver. Errors are matched by behaviour (a method
// SQLState() string, net.Error, syscall.Errno, io.EOF and their like), and
// adapters that hold the fields of a driver's error call [ClassifyFields].
package pgerr

// Verdict is what an error means. The zero Verdict means "no error known":
// category unknown, never repeated, no effect, evidence for nobody.
type Verdict struct {
	// SQLState is the five-character code that decided, or "" when the error
	// carried none (a lost connection, a context error).
	SQLState string
	// Category is the kind of trouble.
	Category Category
	// Severity is how much it should worry the people who run the database.
	Severity Severity
	// Retry is the least that must be done again for a repeat to make sense.
	Retry Retry
	// Effect says whether the one statement that failed may have happened.
	Effect Effect
	// Trips names the breaker that the error is evidence for.
	Trips Scope
}

// Category is a kind of trouble; its String is a metric label.
type Category uint8

// The categories.
const (
	CategoryUnknown Category = iota
	CategoryConnection
	CategoryTimeout
	CategoryTransient
	CategoryLock
	CategoryResource
	CategoryConstraint
	CategorySyntax
	CategoryData
	CategoryPermission
	CategoryConfiguration
	CategoryTransaction
	CategoryReadOnly
	CategoryCanceled
	CategoryShutdown
	CategoryInternal
	CategoryForeign
	CategoryRaised
)

// Severity is how much an error should worry the people who run the database.
type Severity uint8

// The severities, rising.
const (
	SeverityLow Severity = iota
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

// Retry is the least that must be done again for a repeat to make sense.
type Retry uint8

// The ways to repeat.
const (
	RetryNever       Retry = iota // the same work fails the same way
	RetryStatement                // the statement alone may be sent again, outside a transaction
	RetryTransaction              // the whole transaction must be run again from BEGIN
	RetryReconnect                // the session is gone: a new connection first
	RetryWait                     // the server refused for now: come back later
)

// Effect says whether the one statement that failed may have happened. It never
// speaks of statements that succeeded before it.
type Effect uint8

// The effects.
const (
	EffectNone    Effect = iota // refused or rolled back
	EffectUnknown               // it may have happened
)

// Scope names whose breaker an error is evidence for.
type Scope uint8

// The scopes.
const (
	ScopeNone      Scope = iota // nobody's: an answer like any other
	ScopeOperation              // the operation's
	ScopeDatabase               // the database's
)

package perdure

import (
	"context"
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// Hooks are functions that are called with what happens in a Manager. A nil
// field is off. Hooks run on the goroutine of the call (or of the prober),
// outside of all locks, and in order for one breaker; several may run at the
// same time. They must not block, for the call waits for them, and must not
// panic: a panic goes up through the call, or ends the program if it is told of
// on a goroutine of the Manager's. A hook must not call Close.
type Hooks struct {
	// CallStart is called when a call begins, before it asks a breaker. The call, its work and its other
	// hooks run under the context that it returns, which must be ctx or come from it. CallEnd is called
	// for every call that it was told of.
	CallStart func(ctx context.Context, e CallStartEvent) context.Context
	// Repeat is called before each attempt after the first, once all waiting is over. The attempt alone
	// runs under the context that it returns, which must be ctx or come from it.
	Repeat func(ctx context.Context, e RepeatEvent) context.Context
	// AttemptEnd is called after each attempt, also one that succeeded.
	AttemptEnd func(ctx context.Context, e AttemptEvent)
	// CallEnd is called once for each call, also one that was refused or
	// panicked; not for one whose context had ended before it, or whose Op is invalid.
	CallEnd func(ctx context.Context, e CallEvent)
	// BreakerChange is called when a breaker changes its state or is held or released.
	BreakerChange func(e BreakerEvent)
	// BudgetSpent is called when the budget could not pay for a repeat.
	BudgetSpent func(ctx context.Context, e BudgetEvent)
	// CommitOutcome is called when an adapter knows how a commit in doubt, or a Once, ended.
	CommitOutcome func(ctx context.Context, e OutcomeEvent)
	// Parked is called when a call begins to wait for a breaker, Released when it ends to.
	Parked, Released func(ctx context.Context, e ParkEvent)
	// CorrelationID is asked for the ID of a call that needs one and was given none, so that it can be
	// that of the call's trace. "" or nil means a random one.
	CorrelationID func(ctx context.Context) string
}

// CallStartEvent tells of a call that begins.
type CallStartEvent struct {
	Op string // name of the operation
}

// RepeatEvent tells of an attempt after the first.
type RepeatEvent struct {
	Op            string
	Attempt       int           // that begins, counted from 1
	Waited        time.Duration // since the attempt before it ended: the delay, and parked time
	Verdict       pgerr.Verdict // of the error of the attempt before it
	CorrelationID string
}

// AttemptEvent tells of one attempt.
type AttemptEvent struct {
	Op            string        // name of the operation
	Attempt       int           // counted from 1
	Duration      time.Duration // of the attempt
	Err           error         // nil if it succeeded
	Verdict       pgerr.Verdict // of Err
	CorrelationID string        // "" for a call that has not failed and was given none
}

// CallEvent tells of one call.
type CallEvent struct {
	Op            string
	Attempts      int           // zero for a call that was refused
	Elapsed       time.Duration // parked time included
	Parked        time.Duration // waited for breakers and budget
	Reason        Reason        // zero if the call succeeded or its error came back untouched
	Err           error         // what the call returned
	Verdict       pgerr.Verdict // of the last error
	CorrelationID string
}

// BreakerEvent tells of a breaker.
type BreakerEvent struct {
	Operation string // "database" for the database's
	Change    breaker.Change
}

// Opened reports whether the breaker stopped letting calls pass.
func (e BreakerEvent) Opened() bool {
	return e.Change.To == breaker.Open && e.Change.From != breaker.Open
}

// BudgetEvent tells of a repeat that the budget could not pay for.
type BudgetEvent struct {
	Op            string
	Attempt       int // that failed
	Price         float64
	Waits         bool // the call parks until the budget can pay
	CorrelationID string
}

// ParkEvent tells of a call that waits, or waited, for a breaker.
type ParkEvent struct {
	Op            string
	For           string        // the breaker's operation; "database" for the database's, "budget" for the budget, "room" for a server or a pool that is full
	Waited        time.Duration // zero when it begins to
	CorrelationID string
}

// Resolution is how a commit in doubt ended, or what a Once found.
type Resolution string

// The resolutions.
const (
	Committed  Resolution = "committed"  // it is proven that the transaction is committed
	Aborted    Resolution = "aborted"    // it is proven that it is not and never will be
	Undecided  Resolution = "unknown"    // neither can be proven
	Run        Resolution = "run"        // a Once ran its function
	Remembered Resolution = "remembered" // a Once found the work done
)

// OutcomeEvent tells how a commit in doubt was resolved, or what a Once did.
type OutcomeEvent struct {
	Op            string
	Key           string // of a Once
	Resolution    Resolution
	Method        string        // how it is known: "marker", "token", "wire"
	Evidence      string        // what was found, in words
	Took          time.Duration // from the doubt to the answer
	CorrelationID string
}

// JoinHooks returns hooks that call a's function, then b's. The contexts that
// CallStart and Repeat return go from a to b; of two correlation IDs a's counts.
func JoinHooks(a, b Hooks) Hooks {
	return Hooks{
		CallStart:     joinStart(a.CallStart, b.CallStart),
		Repeat:        joinStart(a.Repeat, b.Repeat),
		AttemptEnd:    join2(a.AttemptEnd, b.AttemptEnd),
		CallEnd:       join2(a.CallEnd, b.CallEnd),
		BreakerChange: join1(a.BreakerChange, b.BreakerChange),
		BudgetSpent:   join2(a.BudgetSpent, b.BudgetSpent),
		CommitOutcome: join2(a.CommitOutcome, b.CommitOutcome),
		Parked:        join2(a.Parked, b.Parked),
		Released:      join2(a.Released, b.Released),
		CorrelationID: joinIDs(a.CorrelationID, b.CorrelationID),
	}
}

func joinStart[E any](a, b func(context.Context, E) context.Context) func(context.Context, E) context.Context {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e E) context.Context { return b(a(ctx, e), e) }
}

// joinIDs takes the first ID that there is.
func joinIDs(a, b func(context.Context) string) func(context.Context) string {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context) string {
		if id := a(ctx); id != "" {
			return id
		}
		return b(ctx)
	}
}

func join1[E any](a, b func(E)) func(E) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(e E) { a(e); b(e) }
}

func join2[E any](a, b func(context.Context, E)) func(context.Context, E) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e E) { a(ctx, e); b(ctx, e) }
}

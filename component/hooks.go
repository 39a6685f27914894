package component

import (
	"context"
	"time"
)

// Hooks are told what a Loader does: metrics, audit and logs are hooks. A nil
// func is off. They are called outside locks and must neither block nor panic;
// those of different invocations are called at the same time.
type Hooks struct {
	// InvokeStart is called when an invocation of a method that exists begins,
	// before anything of it is checked. The invocation runs under the context that it
	// returns, which must be ctx or come from it.
	InvokeStart func(ctx context.Context, e InvokeStartEvent) context.Context
	// InvokeEnd is called once for each InvokeStart, however the invocation ends.
	InvokeEnd func(ctx context.Context, e InvokeEvent)
	// Returned is called when an invocation that was abandoned ends after all, in
	// its goroutine.
	Returned func(e ReturnedEvent)
	// StateChange is called when a component changes its state: for one component
	// one at a time and in order.
	StateChange func(e StateEvent)
	// CorrelationID is asked for the ID of an invocation whose context has none, so
	// that it can be that of a trace. "" or nil means a random one.
	CorrelationID func(ctx context.Context) string
}

// InvokeStartEvent tells of an invocation that begins.
type InvokeStartEvent struct {
	Component, Method string
	InputBytes        int
	CorrelationID     string
}

// InvokeEvent tells of an invocation that has ended, or was abandoned.
type InvokeEvent struct {
	Component, Method       string
	InputBytes, OutputBytes int
	Waited                  time.Duration // for a place
	Elapsed                 time.Duration // in all
	Attempts                int           // times that the method was begun
	Reason                  Reason        // zero if it succeeded
	Err                     error         // what Invoke returned: an *Error, or nil
	CorrelationID           string
}

// ReturnedEvent tells of an abandoned invocation that has ended.
type ReturnedEvent struct {
	Component, Method string
	Elapsed           time.Duration // since it began
	Err               error         // of the method; nil if it succeeded, which nobody learned
	CorrelationID     string
}

// StateEvent tells of a component that changed its state.
type StateEvent struct {
	Component string
	From, To  State
	Took      time.Duration // spent in From
	Err       error         // why it failed
}

// JoinHooks returns hooks that call a's function, then b's. The context that
// InvokeStart returns goes from a to b; of two correlation IDs a's counts.
func JoinHooks(a, b Hooks) Hooks {
	return Hooks{
		InvokeStart:   joinStart(a.InvokeStart, b.InvokeStart),
		InvokeEnd:     joinEnd(a.InvokeEnd, b.InvokeEnd),
		Returned:      join(a.Returned, b.Returned),
		StateChange:   join(a.StateChange, b.StateChange),
		CorrelationID: joinIDs(a.CorrelationID, b.CorrelationID),
	}
}

type startHook = func(context.Context, InvokeStartEvent) context.Context

func joinStart(a, b startHook) startHook {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e InvokeStartEvent) context.Context { return b(a(ctx, e), e) }
}

type endHook = func(context.Context, InvokeEvent)

func joinEnd(a, b endHook) endHook {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e InvokeEvent) { a(ctx, e); b(ctx, e) }
}

func join[E any](a, b func(E)) func(E) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(e E) { a(e); b(e) }
}

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

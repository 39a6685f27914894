package component

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/perdure/perdure"
)

// Invoke invokes a method of a component that runs, with in as its input, and
// returns its output. An empty in is {}. The input is checked against the method's
// schema before the method is begun.
//
// Every error is an *[Error]. Invoke returns at the latest Config.Grace after the
// method's timeout, or the end of ctx, whatever the method does: see the package's
// invariants. Invoke may be called by any number of goroutines, and by methods.
func (l *Loader) Invoke(ctx context.Context, component, method string, in json.RawMessage) (json.RawMessage, error) {
	u, m, err := l.find(component, method)
	if err != nil {
		return nil, &Error{
			Component: printable(component), Method: printable(method), Reason: ReasonUnknown,
			CorrelationID: perdure.CorrelationID(ctx), Err: &fault{reason: ReasonUnknown, err: err, own: true},
		}
	}
	inv := invocation{l: l, u: u, m: m, began: time.Now(), bytes: len(in)}
	hooks := &l.cfg.Hooks
	if inv.id = perdure.CorrelationID(ctx); inv.id == "" {
		if hooks.CorrelationID != nil {
			inv.id = hooks.CorrelationID(ctx)
		}
		inv.id = or(inv.id, newID())
		ctx = perdure.WithCorrelationID(ctx, inv.id)
	}
	if hooks.InvokeStart != nil {
		ctx = hooks.InvokeStart(ctx, InvokeStartEvent{component, method, len(in), inv.id})
	}
	out, err := inv.run(ctx, in)
	var reason Reason
	if err != nil {
		e := inv.failure(err)
		out, err, reason = nil, e, e.Reason
	}
	elapsed := time.Since(inv.began)
	m.stats.add(reason, elapsed)
	if hooks.InvokeEnd != nil {
		hooks.InvokeEnd(ctx, InvokeEvent{
			Component: component, Method: method, InputBytes: len(in), OutputBytes: len(out), Waited: inv.waited, Elapsed: elapsed,
			Attempts: inv.attempts, Reason: reason, Err: err, CorrelationID: inv.id,
		})
	}
	return out, err
}

// printable bounds a name that comes from outside.
func printable(name string) string {
	if validName(name, maxComponentName, "", ".") == nil {
		return name
	}
	return fmt.Sprintf("%.70q", name)
}

// invocation is one call of Invoke.
type invocation struct {
	l        *Loader
	u        *unit
	m        *method
	id       string
	began    time.Time
	bytes    int
	waited   time.Duration
	attempts int
	limit    *timeoutError // the cause of the context's end when the method's timeout ends it
	last     error         // of the last attempt, as the method's goroutine ended
	ended    error         // the cause of the context's end, if it had ended when run returned
}

// run is the way of an invocation through checks, place, attempts.
func (i *invocation) run(ctx context.Context, in json.RawMessage) (json.RawMessage, error) {
	if ctx.Err() != nil {
		i.ended = context.Cause(ctx)
		return nil, i.ended
	}
	_, bound, life, err := i.u.enter()
	if err != nil {
		return nil, &fault{reason: ReasonNotRunning, err: err}
	}
	defer i.u.leave()
	if len(in) == 0 {
		in = json.RawMessage("{}")
	}
	if most := i.l.cfg.MaxInput; len(in) > most {
		return nil, &fault{reason: ReasonInput, err: fmt.Errorf("has %s, more than %s", size(len(in)), size(most)), own: true}
	}
	if err := i.m.in.check(in, i.l.cfg.MaxDepth); err != nil {
		return nil, &fault{reason: ReasonInput, err: err, own: true}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(life, func() { cancel(errStopped) })() //nolint:contextcheck // the component's life, beside the caller's
	if d := i.m.options.Timeout; d > 0 {
		i.limit = &timeoutError{fmt.Sprintf("timeout of %v", d)}
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, d, i.limit)
		defer end()
	}
	out, err := i.inPlace(ctx, in, bound[i.m.name])
	if ctx.Err() != nil {
		i.ended = context.Cause(ctx)
	}
	return out, err
}

// inPlace runs the attempts once there is a place for them.
func (i *invocation) inPlace(ctx context.Context, in json.RawMessage, call invocable) (json.RawMessage, error) {
	above, _ := ctx.Value(chainKey{}).(*chain)
	waits := time.Now()
	err := i.m.places.take(ctx, above.has(i.m))
	i.waited = time.Since(waits)
	if _, ok := err.(*busyError); ok { //nolint:errorlint // the cause of a context may be another one's
		return nil, &fault{reason: ReasonBusy, err: err, own: true}
	} else if err != nil {
		return nil, err
	}
	defer func() {
		if !isAbandoned(i.last) {
			i.m.places.leave()
		}
	}()
	ctx = context.WithValue(ctx, chainKey{}, &chain{i.m, above})
	in = bytes.Clone(in) // a method that was abandoned may go on reading it
	if i.l.cfg.Manager == nil || !i.m.options.Idempotent {
		return i.attempt(ctx, in, call)
	}
	var out json.RawMessage
	err = i.l.cfg.Manager.Guarded(ctx, i.m.op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		var err error
		out, err = i.attempt(ctx, in, call)
		if reasonOf(err) == reasonNone {
			return perdure.Judgement{}, err
		}
		return perdure.Judgement{Repeat: perdure.RepeatNever}, err
	})
	return out, err
}

// attempt calls the method once.
func (i *invocation) attempt(ctx context.Context, in json.RawMessage, call invocable) (json.RawMessage, error) {
	i.attempts++
	limits := limits{bytes: i.l.cfg.MaxOutput, depth: i.l.cfg.MaxDepth}
	m, e := i.m, ReturnedEvent{Component: i.u.name, Method: i.m.name, CorrelationID: i.id}
	began, returned := i.began, i.l.cfg.Hooks.Returned
	var out json.RawMessage
	out, i.last = contain(ctx, i.l.cfg.Grace, func(ctx context.Context) (json.RawMessage, error) {
		return call(ctx, in, limits)
	}, m.places.abandon, func(err error) {
		m.places.returned()
		if returned != nil {
			e.Elapsed, e.Err = time.Since(began), err
			returned(e)
		}
	})
	return out, i.last
}

// reasonOf returns the reason of an error that is the invoker's, zero of one
// that is the method's.
func reasonOf(err error) Reason {
	switch e := err.(type) { //nolint:errorlint // a method may return the error of another invocation
	case *fault:
		return e.reason
	case *panicError:
		return ReasonPanicked
	case *abandonedError:
		return ReasonAbandoned
	}
	if err == errExited { //nolint:errorlint // see above
		return ReasonExited
	}
	return reasonNone
}

// failure makes the *Error of an invocation that failed with err.
func (i *invocation) failure(err error) *Error {
	e := &Error{Component: i.u.name, Method: i.m.name, CorrelationID: i.id, Err: err}
	e.Reason = or(reasonOf(err), reasonOf(i.last))
	if e.Reason == reasonNone {
		e.Reason = ReasonFailed
		if i.ended != nil {
			e.Reason = ReasonCanceled
			if t, ok := i.ended.(*timeoutError); ok && t == i.limit { //nolint:errorlint // not one of an invocation around this one
				e.Reason = ReasonTimeout
			}
			if !errors.Is(err, i.ended) {
				e.Err = fmt.Errorf("%w: %w", i.ended, err)
			}
		}
	}
	switch e.Reason {
	case ReasonNotRunning:
		e.Hint = "start the component first: Loader.Start"
	case ReasonAbandoned:
		e.Hint = "let the method return soon after its context ends; until it does it keeps its place"
	case ReasonPanicked:
		if p, ok := i.last.(*panicError); ok { //nolint:errorlint // that of the method itself
			e.Stack, e.Hint = p.stack, "see Error.Stack"
		}
	case ReasonBusy:
		e.Hint = "invoke it less often, or raise MaxConcurrent or MaxQueued"
	default:
	}
	return e
}

// chain is the invocations that a context is in, the innermost first.
type chain struct {
	m  *method
	up *chain
}

type chainKey struct{}

func (c *chain) has(m *method) bool {
	for ; c != nil; c = c.up {
		if c.m == m {
			return true
		}
	}
	return false
}

// newID returns 128 random bits in hexadecimal, as a trace's id is.
func newID() string {
	var bits [16]byte
	binary.LittleEndian.PutUint64(bits[:8], rand.Uint64()) //nolint:gosec // it identifies, it does not protect
	binary.LittleEndian.PutUint64(bits[8:], rand.Uint64()) //nolint:gosec // see above
	return hex.EncodeToString(bits[:])
}

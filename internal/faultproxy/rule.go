package faultproxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// When says on which side of the matched message a fault strikes.
type When int

// The moments.
const (
	Before When = iota // Before keeps the message back: the other side never sees it. The default.
	// After forwards the message first. When the action cuts or swallows, nothing that the
	// other side answers to it gets through.
	After
)

// An Action is what a fault does to a connection.
type Action int

// The actions.
const (
	// Notify does nothing but call Config.OnFault; the message is forwarded. With
	// After it is a hook for faults of the caller's own, such as killing the backend.
	Notify Action = iota
	// FIN closes in an orderly way: the other end reads to the end and then EOF.
	FIN
	// RST resets: the other end gets ECONNRESET.
	RST
	// BlackHole keeps the connection open and swallows what is sent, towards Rule.Side.
	BlackHole
	// Delay waits for Rule.Delay before (or after) forwarding, in this direction only.
	Delay
	// Throttle limits this direction to Rule.Rate from here on; the message is forwarded.
	Throttle
	// Fatal sends the client an ErrorResponse with Rule.SQLState, as a server
	// that is shutting down (57P01) or full (53300) does, and then closes with FIN.
	Fatal
)

// A Side says which ends of a connection FIN and RST cut, or towards which end BlackHole swallows.
type Side int

// The sides.
const (
	Both       Side = iota // Both is the default.
	ClientSide             // ClientSide leaves the server's side open: the server does not notice.
	ServerSide             // ServerSide leaves the client's side open: the client does not notice.
)

// A Rule injects one kind of fault. It is plain data, except for Match.Text.
type Rule struct {
	// Name labels the rule in Stats and events. Rules may share one; it must not be empty.
	Name string
	// Match says at which messages the fault may strike.
	Match Match
	// When is the moment. The zero value is Before.
	When When
	// Action is what happens. The zero value is Notify.
	Action Action
	// Side is for FIN, RST and BlackHole. The zero value is Both.
	Side Side

	// Skip lets the first matches pass. Zero means none.
	Skip int
	// Every strikes at each n-th match after those. Zero means each.
	Every int
	// Count is how often the rule strikes at most. Zero means no limit.
	Count int
	// Probability is the chance of each match that Skip and Every leave. Zero means 1.
	Probability float64

	// Delay is for the action Delay.
	Delay time.Duration
	// Rate is for Throttle, in bytes a second.
	Rate int
	// Hold is how long BlackHole, and a FIN or RST of one side only, keep the rest of the
	// connection open before it is reset. Zero means until the proxy closes, or
	// both ends have closed.
	Hold time.Duration
	// SQLState is for Fatal, five characters.
	SQLState string
}

// validate returns all faults of the rule, joined.
func (r Rule) validate() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("rule %q: %w", r.Name, fmt.Errorf(format, args...)))
	}
	if r.Name == "" {
		wrong("name: is empty")
	}
	if r.Match.Message < Startup || r.Match.Message > Authenticated {
		wrong("match.message: %d is not a message", r.Match.Message)
	}
	if r.Action < Notify || r.Action > Fatal {
		wrong("action: %d is not an action", r.Action)
	}
	if r.When < Before || r.When > After {
		wrong("when: %d is not Before or After", r.When)
	}
	if r.Side < Both || r.Side > ServerSide {
		wrong("side: %d is not a side", r.Side)
	}
	if r.Skip < 0 || r.Every < 0 || r.Count < 0 || r.Hold < 0 {
		wrong("skip, every, count and hold must not be negative")
	}
	if !(r.Probability >= 0 && r.Probability <= 1) {
		wrong("probability: %v is not between 0 and 1", r.Probability)
	}
	if r.Action == Delay && r.Delay <= 0 {
		wrong("delay: %v is not positive", r.Delay)
	}
	if r.Action == Throttle && r.Rate <= 0 {
		wrong("rate: %d is not positive", r.Rate)
	}
	if r.Action == Fatal && len(r.SQLState) != 5 {
		wrong("sqlstate: %q is not of five characters", r.SQLState)
	}
	return errors.Join(errs...)
}

// A RuleHandle is a rule in force. It is safe for concurrent use.
type RuleHandle struct {
	rule  Rule
	proxy *Proxy

	mu      sync.Mutex // guards the fields below
	random  *rand.Rand
	matches int
	hits    int
}

// Hits returns how often the rule has struck.
func (h *RuleHandle) Hits() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hits
}

// Matches returns how many messages have matched, struck or not.
func (h *RuleHandle) Matches() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.matches
}

// Remove takes the rule out of force; connections that it broke stay broken.
func (h *RuleHandle) Remove() { h.proxy.remove(h) }

// strikes counts a match and decides whether the rule strikes at it.
func (h *RuleHandle) strikes() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rule
	h.matches++
	n := h.matches - r.Skip
	if n <= 0 || (r.Every > 1 && n%r.Every != 0) {
		return false
	}
	if r.Count > 0 && h.hits >= r.Count {
		return false
	}
	// The number is drawn for each, so that the decisions do not depend on what was decided before.
	if r.Probability > 0 && h.random.Float64() >= r.Probability {
		return false
	}
	h.hits++
	return true
}

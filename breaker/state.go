package breaker

import (
	"fmt"
	"time"
)

// State is whether calls may pass. Its number is the value of the metric database_circuit_breaker_state.
type State uint8

// The states.
const (
	Closed   State = iota // calls pass
	HalfOpen              // a few calls pass, to find out
	Open                  // no call passes
)

// String returns closed, half_open or open.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half_open"
	case Open:
		return "open"
	default:
		return "invalid"
	}
}

// MarshalText returns what String does, so that JSON shows words.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote, and refuses anything else.
func (s *State) UnmarshalText(text []byte) error {
	for known := Closed; known <= Open; known++ {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("state %q is not closed, half_open or open", text)
}

// Held says whether a person holds the breaker.
type Held uint8

// The holds.
const (
	NotHeld    Held = iota // the breaker decides
	HeldOpen               // forced open until released
	HeldClosed             // forced closed until released
)

// String returns no, open or closed.
func (h Held) String() string {
	switch h {
	case NotHeld:
		return "no"
	case HeldOpen:
		return "open"
	case HeldClosed:
		return "closed"
	default:
		return "invalid"
	}
}

// MarshalText returns what String does, so that JSON shows words.
func (h Held) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote, and refuses anything else.
func (h *Held) UnmarshalText(text []byte) error {
	for known := NotHeld; known <= HeldClosed; known++ {
		if string(text) == known.String() {
			*h = known
			return nil
		}
	}
	return fmt.Errorf("held %q is not no, open or closed", text)
}

// The reasons that the breaker itself gives for a change.
const (
	ReasonThreshold = "threshold crossed"
	ReasonProbe     = "probe failed"
	ReasonDue       = "probe due"
	ReasonProbed    = "probe succeeded"
	ReasonRecovered = "recovered"
	ReasonReleased  = "released"
	ReasonRestored  = "restored"
)

// Change is one change of a breaker: of its state, or of whether it is held.
type Change struct {
	From, To State
	Held     Held
	// Reason is one of the Reason constants, or what the caller of Trip or a hold said.
	Reason string
	// At is when it happened; the hook may run later.
	At time.Time
	// NextProbe is, for a change to open, when a call may be admitted again. Zero when time alone will not do.
	NextProbe time.Time
	// Evidence is what crossed the threshold. Zero unless Reason is ReasonThreshold.
	Evidence Evidence
}

// Evidence is why a rule wants the breaker open.
type Evidence struct {
	Rule Rule
	// Score and Threshold are, by rule: the CUSUM in units of one success and its limit; the run of
	// failures and its limit; the failure rate and its limit.
	Score, Threshold float64
	// Baseline is the failure rate that the adaptive rule takes for healthy.
	Baseline float64
	// Slow says that it was the rate of slow calls, not of failures.
	Slow bool
	At   time.Time
}

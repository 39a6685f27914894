package component

import "fmt"

// State is where a component is in its life.
type State uint8

// The states. A component goes from new, stopped or failed to starting, from
// there to running or failed, and from running to stopping and then to stopped
// or failed.
const (
	StateNew      State = iota // never started
	StateStarting              // being made, or its Start is under way
	StateRunning               // its methods can be invoked
	StateStopping              // invocations end, then its Stop is under way
	StateStopped               // ended; it can be started again, and is then made anew
	StateFailed                // it could not be made, started or stopped; it can be started again
)

var stateNames = [...]string{"new", "starting", "running", "stopping", "stopped", "failed"}

// String returns the state in lower case, such as "running".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText returns the state as String does.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

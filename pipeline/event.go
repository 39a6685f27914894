package pipeline

import "time"

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventStepStarted EventKind = iota // its first task begins
	EventProgress                     // Done of Total items or parts are done
	EventWaiting                      // a task failed, and is tried again at Until
	EventStepEnded                    // Status says how
)

// Event is something that an observer of a run may want to show. Names of items
// and texts of failures may hold data; Failure.Safe does not.
type Event struct {
	Kind  EventKind
	At    time.Time
	Step  string
	Item  string // of which the event speaks, if the step has items
	Done  int
	Total int
	// Parts says that Done and Total count the parts of one task, as [Progress] told them, and not the items of the step.
	Parts bool
	// Attempts is how many tries of the step's tasks were begun so far. It is zero if Parts is set.
	Attempts int
	Until    time.Time
	Status   Status
	// Failure is why, in EventWaiting and in EventStepEnded of a failed step.
	Failure *Failure
}

package observe

import (
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// Kind says what an event is about.
type Kind string

// The kinds.
const (
	KindBreaker  Kind = "breaker"  // a breaker changed its state, or was held or released
	KindBudget   Kind = "budget"   // the retry budget could not pay
	KindCommit   Kind = "commit"   // a commit in doubt was resolved, or cannot be
	KindParked   Kind = "parked"   // calls began to wait
	KindReleased Kind = "released" // calls ended to wait
	KindGiveUp   Kind = "give_up"  // a call ended without success, with a Reason
	KindRun      Kind = "run"      // a run of a pipeline began or ended
	KindStep     Kind = "step"     // a step of a run ended, or waits to be tried again
)

// Severity says how much an event matters to a person.
type Severity string

// The severities.
const (
	Good     Severity = "good"     // something is well again
	Info     Severity = "info"     // as it should be
	Warning  Severity = "warning"  // calls suffer
	Critical Severity = "critical" // the database is away, or somebody must act
)

// Event is one line of the log.
type Event struct {
	ID        uint64    `json:"id"`                  // rises, also across restarts of the process
	At        time.Time `json:"at"`                  // of the last, if Count is more than one
	Manager   string    `json:"manager"`             // empty for those of runs
	Operation string    `json:"operation,omitempty"` // "database" for its breaker; empty: several
	Kind      Kind      `json:"kind"`
	Severity  Severity  `json:"severity"`
	Text      string    `json:"text"`  // a sentence for people
	Count     uint64    `json:"count"` // how many there were of these within a second
	// CorrelationID is that of the call, or of the last of several.
	CorrelationID string `json:"correlation_id,omitempty"`
	// Pipeline, Run, Step and Status are of the events of runs; Step is that of the last of several.
	Pipeline string `json:"pipeline,omitempty"`
	Run      string `json:"run,omitempty"`
	Step     string `json:"step,omitempty"`
	Status   string `json:"status,omitempty"`
}

// key is what makes two happenings the same line of the log.
type key struct {
	kind       Kind
	manager    string
	op         string
	detail     string // SQLSTATE, what is waited for, or how an outcome is known
	resolution perdure.Resolution
	unique     string // sets an event apart that must not be counted with others
	reason     perdure.Reason
	category   pgerr.Category
	waits      bool
}

// record is an event before there are words for it.
type record struct {
	id          uint64
	at          time.Time
	key         key
	count       uint64
	operations  int // more than one: counted together
	correlation string
	waited      time.Duration   // by the calls that waited, or with a breaker that was not closed
	change      *breaker.Change // of a breaker
	run         *RunEvent       // of a run or step; of the last of several
}

func (r *record) event() Event {
	e := Event{
		ID: r.id, At: r.at, Manager: r.key.manager, Operation: r.key.op, Kind: r.key.kind,
		Severity: r.severity(), Text: r.text(), Count: r.count, CorrelationID: r.correlation,
	}
	if r.run != nil {
		e.Pipeline, e.Run, e.Step, e.Status = r.run.Pipeline, r.run.Run, r.run.Step, r.run.Status
	}
	return e
}

func (r *record) severity() Severity {
	switch r.key.kind {
	case KindBreaker:
		return changeSeverity(r.key.op, r.change)
	case KindCommit:
		switch r.key.resolution { //nolint:exhaustive // the rest is as it should be
		case perdure.Committed:
			return Good
		case perdure.Undecided:
			return Critical
		}
	case KindGiveUp:
		switch r.key.reason { //nolint:exhaustive // the rest is all the same
		case perdure.ReasonOutcomeUnknown:
			return Critical
		case perdure.ReasonCanceled:
			return Info
		}
		return Warning
	case KindBudget:
		return Warning
	case KindReleased:
		return Good
	case KindRun, KindStep:
		return r.run.severity()
	case KindParked:
	}
	return Info
}

func changeSeverity(op string, c *breaker.Change) Severity {
	switch {
	case c.Held != breaker.NotHeld:
		return Warning
	case c.Reason == breaker.ReasonReleased:
		return Info
	case c.To == breaker.Closed:
		return Good
	case c.To == breaker.HalfOpen:
		return Info
	case op == databaseName:
		return Critical
	}
	return Warning
}

// databaseName is how events name the database's breaker.
const databaseName = "database"

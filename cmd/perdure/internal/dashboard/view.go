package dashboard

import (
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// Level is how well a database is, the worst last.
type Level uint8

// The levels.
const (
	Idle       Level = iota // nothing was asked of it yet
	Healthy                 // calls pass
	Recovering              // a few calls pass, to try
	Degraded                // calls suffer, but the database answers
	Held                    // a person decided
	Unknown                 // commits of unknown outcome: somebody must look
	Down                    // the database does not answer
)

// Word is the level in one or two words, for people.
func (l Level) Word() string {
	return [...]string{"Idle", "Healthy", "Recovering", "Degraded", "Held", "Check commits", "Down"}[l]
}

// Class is the level as a CSS class and the name of its shape.
func (l Level) Class() string {
	return [...]string{"idle", "healthy", "recovering", "degraded", "held", "unknown", "down"}[l]
}

// View is all that the page shows. Its strings are data: rendering escapes
// them.
type View struct {
	At        time.Time
	Level     Level  // of the worst database
	Headline  string // of all databases, if there are several
	LastEvent uint64
	Databases []Database
	Events    []Event   // the newest first
	Side      []RunCard // runs at work, and those that ended within the hour
	Version   string
}

// Database is one Manager.
type Database struct {
	Name, Anchor   string
	Level          Level
	Headline       string
	Why            []Phrase // since when and why
	Todo           []Phrase // what happens next, or what to do
	Timeline       Timeline
	Cards          []Card
	Unknown        []UnknownCommit
	UnknownMore    uint64    // that are counted, and no longer listed
	Breakers       []Breaker // the database's, and those in trouble
	Calm           []Breaker // closed, without evidence
	MoreBreakers   int       // that are calm, too, and not listed
	Operations     []Operation
	MoreOperations int
}

// Phrase is a piece of a sentence: text, a moment, or a command.
type Phrase struct {
	Text string
	At   time.Time
	Code string
}

// Card is one figure with its last five minutes.
type Card struct {
	Title, Help string
	Value, Unit string
	Note        string
	Alarm       Level // Healthy: none
	Spark       *Spark
	Meter       *Meter
	Parts       []Part
}

// Part is one of several figures on a Card.
type Part struct{ Icon, Label, Value, Class string }

// Meter is a share of a whole, from 0 to 1.
type Meter struct {
	Share float64
	Label string // for those who cannot see it
	Class string
}

// Breaker is a row of the breakers.
type Breaker struct {
	ID, Operation string
	Database      bool
	State         breaker.State
	Held          breaker.Held
	Word          string // the state, as people call it
	Means         string // what that does to calls
	Class         string
	Why           []Phrase
	Evidence      *Meter
	Score         string
	Baseline      string
}

// Operation is a row of the operations.
type Operation struct {
	Name          string
	Class, Word   string // of its breaker
	Away          bool   // its own breaker is closed, but the database's is not: that decides
	Calls, Failed string
	Retries       string
	Helped        string // share of the repeated calls that succeeded
	P50, P99      string
	Failing       bool
	CallsSpark    Spark
	LatencySpark  Spark
}

// UnknownCommit is a commit whose outcome cannot be known.
type UnknownCommit struct {
	At                       time.Time
	Operation, CorrelationID string
}

// Event is a line of the log, or several that tell the same.
type Event struct {
	observe.Story
	Icon string
}

// Lasts reports whether it went on for a while.
func (e Event) Lasts() bool { return e.To.Sub(e.From) >= time.Second }

// Several reports whether there is more than one database.
func (v View) Several() bool { return len(v.Databases) > 1 }

// Title is the page's, the worst first.
func (v View) Title() string {
	if len(v.Databases) == 1 {
		return v.Level.Word() + " · " + v.Databases[0].Name + " · perdure"
	}
	return v.Level.Word() + " · perdure"
}

// Spoken is what a screen reader is told when it changes: it has no figure that
// changes each second.
func (v View) Spoken() string {
	s := ""
	for _, d := range v.Databases {
		if s != "" {
			s += " "
		}
		s += d.Name + ": " + d.Level.Word() + ". " + d.Headline + "."
	}
	return s
}

// Percent is the share in percent, for drawing.
func (m Meter) Percent() string { return short(100 * m.Share) }

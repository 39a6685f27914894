package runs

import (
	"time"

	"github.com/perdure/perdure/pipeline"
)

// Kind is what a Note tells.
type Kind uint8

// The kinds.
const (
	Begun       Kind = iota // the run: How says whether anew
	StepStarted             // its first task begins
	StepWaits               // a task failed, and is tried again at Until
	StepEnded               // Status says how
	Ended                   // the run: Status says how
)

// Note is one thing that happened in a run, for those who write it down. It
// holds no data.
type Note struct {
	Kind     Kind
	At       time.Time
	Pipeline string
	Run      string
	Engine   string
	How      How // of Begun
	Try      int
	Steps    int    // of the run
	Step     string // of the step kinds
	Status   pipeline.Status
	Took     time.Duration // of StepEnded, if it began, and of Ended
	Attempts int
	Items    int
	Until    time.Time // of StepWaits
	// Remembered says, of Ended, that the run had succeeded before and nothing was run.
	Remembered bool
	// Failure is why a step waits or failed, or why the run did not succeed.
	Failure *Failure
}

// Sink is told what happens, one Note at a time for one run, and several at a
// time for several. It must not block.
type Sink func(Note)

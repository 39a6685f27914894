package dashboard

import (
	"strings"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

// Runs is what the pages of runs show.
type Runs struct {
	Cards []RunCard // with their steps
	Rows  []RunCard // the others, without
	More  int       // that are not listed
	// Incomplete says that the engine which remembers does not answer.
	Incomplete bool
	// One is set on the page of a single run; Unknown, if nobody knows that run, is its name.
	One     bool
	Unknown string
}

// RunCard is a run.
type RunCard struct {
	ID, Name, Pipeline, Engine string
	Class, Word                string // of its state, as people call it
	Current                    string // the step that runs
	Steps                      string // how many of how many
	Progress                   Meter
	Started                    time.Time
	Took                       string
	Facts                      []string // besides
	Notes                      []Note
	Chart                      *Chart // nil: not asked for
}

// Note is something about a run or a step that a person may want to act on.
type Note struct {
	Class, Icon string
	Text        []Phrase
	Todo        []Phrase
}

// Live reports whether the run is at work.
func (c RunCard) Live() bool { return c.Class == "running" || c.Class == "waiting" }

// Chart is the timeline of a run's steps.
type Chart struct {
	Axis      []string // labels of the ticks, from the left
	Rows      []StepRow
	Folds     []Fold
	Waterfall *Waterfall // of runs with many steps
	Fallen    string     // how many steps the rows leave out, in words; empty: none, or they are in Folds
}

// Fold is the steps of one status, of a run with many.
type Fold struct {
	ID, Class, Word string
	Count           int
	Rows            []StepRow
	More            int // that are not in Rows
}

// StepRow is a step.
type StepRow struct {
	ID, Name    string
	Class, Word string
	Bars        []Bar
	Label       string // for those who cannot see the bars
	Took, Tries string
	Done        string
	Notes       []Note
}

// Bar is a stretch of time in which a step worked, high, or waited, low.
type Bar struct {
	X, Width  string
	Y, Height int
	Class     string
}

// Runs that are shown on the page of all.
const (
	maxCards    = 4 // with their steps
	maxRunRows  = 40
	sideForLong = time.Hour // how long a run that is over stays on the overview
	maxSide     = 4
)

// BuildRuns makes the view of runs; show returns one of them with its steps.
// Those at work and the one that ended last have their steps. It is pure if show is.
func BuildRuns(list []runs.Run, show func(name string) (runs.Run, []runs.Step, error), at time.Time) (v Runs) {
	first := atWork(list) // that is over
	for i := range list {
		r := &list[i]
		if i <= first && len(v.Cards) < maxCards {
			if one, steps, err := show(r.Name); err == nil {
				c := runCard(&one, at)
				c.Chart = chart(&one, steps, at, c.ID, brief)
				v.Cards = append(v.Cards, c)
				continue
			}
		}
		switch {
		case len(v.Rows) < maxRunRows:
			v.Rows = append(v.Rows, runCard(r, at))
		default:
			v.More++
		}
	}
	return v
}

// atWork is how many runs are, which come first.
func atWork(list []runs.Run) (n int) {
	for n < len(list) && list[n].Status == pipeline.StatusRunning {
		n++
	}
	return n
}

// BuildRun makes the view of one run with all its steps. It is pure.
func BuildRun(r *runs.Run, steps []runs.Step, at time.Time) Runs {
	c := runCard(r, at)
	c.Chart = chart(r, steps, at, c.ID, full)
	return Runs{Cards: []RunCard{c}, One: true}
}

// side is what the overview shows of runs.
func side(list []runs.Run, at time.Time) (out []RunCard) {
	for i := range list {
		if r := &list[i]; len(out) < maxSide && (r.Status == pipeline.StatusRunning || at.Sub(r.Ended) < sideForLong) {
			out = append(out, runCard(r, at))
		}
	}
	return out
}

// Title is what the tab says of runs.
func (v Runs) Title() string {
	switch {
	case v.Unknown != "":
		return "Unknown run · perdure"
	case v.One:
		return v.Cards[0].Word + " · " + v.Cards[0].Pipeline + " · perdure"
	}
	live := 0
	for i := range v.Cards {
		if v.Cards[i].Live() {
			live++
		}
	}
	if live > 0 {
		return count(live, "run", "runs") + " at work · perdure"
	}
	return "Runs · perdure"
}

// Spoken is what a screen reader is told when it changes: states, and no
// figures.
func (v Runs) Spoken() string {
	var b strings.Builder
	for i := range v.Cards {
		b.WriteString(v.Cards[i].Pipeline + ", run " + v.Cards[i].Name + ": " + v.Cards[i].Word + ". ")
	}
	return b.String()
}

package dashboard

import (
	"strings"
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// timelineSeconds is the width of a timeline: one unit a second.
const timelineSeconds = 300

// Timeline is the state of the database's breaker over the last five minutes.
// Each state has a height of its own beside its colour.
type Timeline struct {
	Segments []Segment
	Label    string // for those who cannot see it
}

// Segment is a stretch of one state.
type Segment struct {
	X, Width, Y, Height int
	Class               string
}

// timeline draws the seconds, now at the right.
func timeline(points []observe.Point, now time.Time) (t Timeline) {
	seconds := map[string]time.Duration{}
	for _, p := range points {
		x := timelineSeconds - 1 - int(now.Sub(p.At)/time.Second)
		if x < 0 || x >= timelineSeconds {
			continue
		}
		class, height := segment(p)
		if class != "closed" {
			seconds[class] += time.Second
		}
		if n := len(t.Segments); n > 0 {
			last := &t.Segments[n-1]
			if last.Class == class && x <= last.X+last.Width+1 { // a sample that came late leaves no gap
				last.Width = x - last.X + 1
				continue
			}
			last.Width = max(last.Width, min(x-last.X, last.Width+1))
		}
		t.Segments = append(t.Segments, Segment{X: x, Width: 1, Y: timelineHeight - height, Height: height, Class: class})
	}
	var parts []string
	for _, s := range []struct{ class, word string }{{"open", "open"}, {"half-open", "half-open"}, {"held", "held"}} {
		if d := seconds[s.class]; d > 0 {
			parts = append(parts, s.word+" for "+observe.Duration(d))
		}
	}
	if len(parts) == 0 {
		parts = []string{"closed"}
	}
	t.Label = "The database's breaker in the last five minutes: " + strings.Join(parts, ", ")
	return t
}

const timelineHeight = 24

func segment(p observe.Point) (class string, height int) {
	switch {
	case p.Held != breaker.NotHeld:
		return "held", timelineHeight
	case p.State == breaker.Open:
		return "open", timelineHeight
	case p.State == breaker.HalfOpen:
		return "half-open", timelineHeight * 2 / 3
	}
	return "closed", timelineHeight / 4
}

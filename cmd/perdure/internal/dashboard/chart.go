package dashboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/observe"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

// How much of a run with many steps is shown.
const (
	chartWidth = 1000 // of a bar's drawing, in its own units
	barHeight  = 16
	leastBar   = 3   // so that the shortest step can be seen
	unfolded   = 40  // steps that are all shown
	notables   = 12  // of more, those that fail or work
	foldedRows = 100 // of one status
)

// detail is how much of a chart is wanted.
type detail bool

const (
	brief detail = false // of steps that are many, those that matter now
	full  detail = true
)

// span is the time that a chart shows.
type span struct {
	from  time.Time
	total time.Duration
	now   time.Time
}

// chart draws the steps of a run.
func chart(r *runs.Run, steps []runs.Step, at time.Time, id string, d detail) *Chart {
	s := span{from: r.Started, now: at}
	if !r.Ended.IsZero() {
		s.now = r.Ended
	}
	c := &Chart{}
	c.Axis, s.total = axis(s.now.Sub(s.from))
	row := func(i int) StepRow { return s.row(&steps[i], id) }
	if len(steps) <= unfolded {
		for i := range steps {
			c.Rows = append(c.Rows, row(i))
		}
		return c
	}
	c.Waterfall = s.waterfall(steps)
	groups := map[string][]int{} // by class
	for i := range steps {
		class, _ := stateOf(steps[i].Status, steps[i].Waiting(at))
		groups[class] = append(groups[class], i)
	}
	var left []string
	for _, g := range []struct{ class, word string }{
		{"failed", "failed"},
		{"waiting", "waiting"},
		{"running", "running"},
		{"succeeded", "succeeded"},
		{"pending", "pending"},
		{"skipped", "skipped"},
		{"omitted", "omitted"},
		{"canceled", "canceled"},
	} {
		rows := groups[g.class]
		if g.class == "failed" || g.class == "waiting" || g.class == "running" {
			n := min(len(rows), notables)
			for _, i := range rows[:n] {
				c.Rows = append(c.Rows, row(i))
			}
			rows = rows[n:]
		}
		switch {
		case len(rows) == 0:
		case d == brief:
			left = append(left, whole(len(rows))+" "+g.word)
		default:
			f := Fold{ID: id + "-fold-" + g.class, Class: g.class, Word: g.word, Count: len(rows)}
			for _, i := range rows[:min(len(rows), foldedRows)] {
				f.Rows = append(f.Rows, row(i))
			}
			f.More = len(rows) - len(f.Rows)
			c.Folds = append(c.Folds, f)
		}
	}
	c.Fallen = strings.Join(left, ", ")
	return c
}

// axis returns the labels of the ticks, and the time that they span: at least
// total, and at most five ticks of a length that people count in.
func axis(total time.Duration) (labels []string, spanned time.Duration) {
	total = max(total, time.Millisecond)
	tick := ticks[len(ticks)-1]
	for _, t := range ticks {
		if (total+t-1)/t <= 5 {
			tick = t
			break
		}
	}
	for at := time.Duration(0); at < total && len(labels) < 5; at += tick {
		labels = append(labels, tickLabel(at))
		spanned = at + tick
	}
	return labels, max(spanned, total)
}

// ticks are lengths that people count in.
var ticks = [...]time.Duration{ //nolint:gochecknoglobals // a table
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
	10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
	15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	48 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour,
}

func tickLabel(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < time.Second:
		return strconv.Itoa(int(d/time.Millisecond)) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
	}
	return observe.Duration(d)
}

// row is a step with its bars.
func (s span) row(st *runs.Step, id string) StepRow {
	r := StepRow{ID: id + "-s-" + st.Name, Name: st.Name, Took: latency(st.Took(s.now)), Tries: "–", Done: "–"}
	waits := st.Waiting(s.now)
	r.Class, r.Word = stateOf(st.Status, waits)
	if st.Attempts > 0 {
		r.Tries = whole(st.Attempts)
	}
	if st.Total > 0 {
		r.Done = whole(st.Done) + " of " + whole(st.Total)
		if st.Done == st.Total {
			r.Done = whole(st.Total)
		}
	}
	r.Bars, r.Label = s.bars(st)
	if st.Parked > 0 {
		r.Notes = append(r.Notes, parkedNote(st.Parked, st.ParkedFor, st.ParkedSince))
	}
	switch {
	case st.Failure == nil:
	case st.Status == pipeline.StatusFailed:
		r.Notes = append(r.Notes, failureNote(st.Failure, nil))
	case st.Status == pipeline.StatusRunning && st.Until.After(s.now):
		r.Notes = append(r.Notes, Note{Class: "waits", Icon: "waiting", Text: []Phrase{
			{Text: st.Failure.Text + ". It is tried again at "}, {At: st.Until}, {Text: ", " + in(st.Until.Sub(s.now))},
		}})
	case st.Status == pipeline.StatusRunning:
		r.Notes = append(r.Notes, Note{Class: "calm", Icon: "repeat", Text: text("Tried again after: " + st.Failure.Text)})
	}
	return r
}

// bars draws the times in which a step worked and waited.
func (s span) bars(st *runs.Step) (out []Bar, label string) {
	if st.Started.IsZero() {
		return nil, "not begun"
	}
	end := s.now
	if !st.Ended.IsZero() {
		end = st.Ended
	}
	if end.Before(s.from) {
		return []Bar{{X: "0", Width: "6", Y: 4, Height: 8, Class: "earlier"}}, "done in an earlier try, in " + latency(st.Took(s.now))
	}
	class, _ := stateOf(st.Status, false)
	at := st.Started
	var waited time.Duration
	for _, w := range s.waits(st, end) {
		if w.From.After(at) {
			out = append(out, s.bar(at, w.From, class, false))
		}
		out = append(out, s.bar(w.From, w.To, "waits", true))
		waited += w.To.Sub(w.From)
		at = w.To
	}
	if end.After(at) || len(out) == 0 {
		out = append(out, s.bar(at, end, class, false))
	}
	label = fmt.Sprintf("from %s to %s", offset(st.Started.Sub(s.from)), offset(end.Sub(s.from)))
	if waited > 0 {
		label += ", of which it waited " + observe.Duration(waited)
	}
	return out, label
}

// waits are those of a step until end, with the one that lasts.
func (s span) waits(st *runs.Step, end time.Time) (out []runs.Wait) {
	all := st.Waits
	if st.Parked > 0 {
		all = append(slices.Clip(all), runs.Wait{From: st.ParkedSince, To: end})
	}
	at := st.Started
	for _, w := range all {
		if w.From.Before(at) {
			w.From = at
		}
		if w.To.After(end) {
			w.To = end
		}
		if w.To.After(w.From) {
			out = append(out, w)
			at = w.To
		}
	}
	return out
}

func offset(d time.Duration) string {
	if d <= 0 {
		return "the start"
	}
	return observe.Duration(d)
}

func (s span) bar(from, to time.Time, class string, low bool) Bar {
	x0, x1 := s.x(from), s.x(to)
	if x1-x0 < leastBar {
		x1 = min(x0+leastBar, chartWidth)
		x0 = max(0, x1-leastBar)
	}
	b := Bar{X: short(x0), Width: short(x1 - x0), Y: 2, Height: barHeight - 4, Class: class}
	if low {
		b.Y, b.Height = barHeight/2-2, 4
	}
	return b
}

// x is where a moment is, within the chart.
func (s span) x(t time.Time) float64 {
	return chartWidth * share(float64(t.Sub(s.from)), float64(s.total))
}

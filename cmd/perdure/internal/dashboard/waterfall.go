package dashboard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/perdure/perdure/cmd/perdure/internal/runs"
)

// waterfallRows is the most rows of a waterfall: of more steps, neighbours share one.
const waterfallRows = 200

// Waterfall is all steps of a run with many in one drawing: each a thin line, in
// the order of the definition.
type Waterfall struct {
	Rows  int // its height in its own units
	Lines []WaterLine
	Label string // for those who cannot see it
}

// WaterLine is an SVG path of all lines of one state.
type WaterLine struct{ Class, Path string }

// stretch is a line in a row.
type stretch struct {
	row      int
	from, to float64
}

// waterfall draws the steps. What matters more is drawn later, over the rest.
func (s span) waterfall(steps []runs.Step) *Waterfall {
	together := (len(steps) + waterfallRows - 1) / waterfallRows
	w := &Waterfall{Rows: (len(steps) + together - 1) / together}
	counts := map[string]int{}
	lines := map[string][]stretch{}
	for i := range steps {
		st := &steps[i]
		class, _ := stateOf(st.Status, st.Waiting(s.now))
		counts[class]++
		if st.Started.IsZero() {
			continue
		}
		end := s.now
		if !st.Ended.IsZero() {
			end = st.Ended
		}
		least := float64(leastBar)
		if class == "failed" { // it is what people look for
			least *= 3
		}
		lines[class] = append(lines[class], stretch{i / together, s.x(st.Started), max(s.x(end), s.x(st.Started)+least)})
	}
	var said []string
	for _, class := range []string{"canceled", "succeeded", "running", "waiting", "failed"} {
		if len(lines[class]) > 0 {
			w.Lines = append(w.Lines, WaterLine{class, lined(lines[class])})
		}
	}
	for _, class := range []string{"failed", "waiting", "running", "succeeded", "pending", "skipped", "omitted", "canceled"} {
		if counts[class] > 0 {
			said = append(said, whole(counts[class])+" "+class)
		}
	}
	w.Label = "When each step ran, in the order of the definition: " + strings.Join(said, ", ")
	return w
}

// lined joins what touches within a row.
func lined(all []stretch) string {
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.from, b.from)) })
	var b strings.Builder
	for i := 0; i < len(all); {
		one := all[i]
		for i++; i < len(all) && all[i].row == one.row && all[i].from <= one.to+1; i++ {
			one.to = max(one.to, all[i].to)
		}
		b.WriteString("M" + short(one.from) + " " + short(float64(one.row)+0.5) + "H" + short(min(one.to, chartWidth)))
	}
	return b.String()
}

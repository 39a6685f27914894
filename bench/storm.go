package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/server"
)

// labelEvery is how many slots lie between two that are labelled.
const labelEvery = 5

// LiveStorm makes the table and the picture of a server at url that loses most of its capacity for a while.
func LiveStorm(ctx context.Context, url string, s server.Storm) (figure.Section, *figure.Chart, error) {
	weathered, err := server.Weather(ctx, url, s)
	if err != nil {
		return figure.Section{}, nil, err
	}
	part := func(values []float64, from, until int) float64 {
		sum := 0.0
		for _, v := range values[from:until] {
			sum += v
		}
		return sum / float64(until-from)
	}
	percent := func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
	onset, end := s.Healthy, s.Healthy+s.Trouble
	chart := &figure.Chart{
		Title:  "Calls that succeed while a server loses most of its capacity",
		Desc:   "The part of the calls that succeed, by time: before, while the server has lost most of its capacity, and after it has it back. Higher is better.",
		XLabel: "seconds", YLabel: "calls that succeed", Y: []float64{0, .25, .5, .75, 1},
		Panels: []figure.Panel{{}},
	}
	for i := range end + s.After {
		label := ""
		if i%labelEvery == 0 {
			label = strconv.FormatFloat((time.Duration(i) * s.Slot).Seconds(), 'g', 3, 64)
		}
		chart.X = append(chart.X, label)
	}
	t := &figure.Table{Head: []string{"policy", "succeed, healthy", "in trouble", "after it", "recovered after", "attempts a call, in trouble", "at most", "connections opened"}}
	for _, w := range weathered {
		after := never
		if w.Recovered >= 0 {
			after = (time.Duration(w.Recovered) * s.Slot).String()
		}
		most, succeeded := 0.0, make([]float64, len(w.Succeeded))
		for i, v := range w.Succeeded {
			succeeded[i] = min(v, 1)
			most = max(most, w.Attempts[i])
		}
		t.Add(w.Name, percent(part(w.Succeeded, 0, onset)), percent(part(w.Succeeded, onset, end)), percent(part(w.Succeeded, end, len(w.Succeeded))),
			after, fmt.Sprintf("%.2f", part(w.Attempts, onset, end)), fmt.Sprintf("%.2f", most), strconv.Itoa(w.Connections))
		chart.Panels[0].Lines = append(chart.Panels[0].Lines, figure.Line{Name: w.Name, Values: succeeded})
	}
	return figure.Section{
		Title: "A server that loses most of its capacity",
		Text: fmt.Sprintf("%s calls a second, %.0f %% of what the server can do, arrive whatever becomes of those before. Each is a statement that costs the server CPU time and nothing else; "+
			"for %s it costs so much more that %.0f %% of the capacity is left. An attempt may take %s. By %s; what succeeds in trouble cannot be more than %.0f %%.",
			figure.Number(weathered[0].Asked/s.Slot.Seconds()), 100*s.Load, time.Duration(s.Trouble)*s.Slot, 100*s.Capacity, s.Timeout, s.Slot, 100*s.Capacity/s.Load),
		Table: t,
	}, chart, nil
}

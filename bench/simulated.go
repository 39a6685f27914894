package bench

import (
	"fmt"
	"strconv"
	"time"

	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/sim"
)

// never stands where a breaker did not trip within the calls that it was given.
const never = "never"

// Detection makes the table and the picture of how fast breakers notice.
func Detection(run sim.Bubble, streams, healthyCalls int) (figure.Section, *figure.Chart, error) {
	noticed, err := sim.Detection(run, streams, healthyCalls)
	if err != nil {
		return figure.Section{}, nil, err
	}
	chart := &figure.Chart{
		Title:  "How many calls a breaker takes to notice trouble",
		Desc:   "Mean calls from the onset of failures to the trip, by the share of calls that fail, after a healthy time with 1 % of failures. Lower is better.",
		XLabel: "calls that fail after the onset", YLabel: "calls until it trips (logarithmic)",
		Y: []float64{1, 10, 100, 1000, 10_000}, Log: true, Never: never, Panels: []figure.Panel{{}},
	}
	t := &figure.Table{Head: []string{"breaker"}}
	for _, p := range sim.Onsets() {
		label := fmt.Sprintf("%.0f %%", 100*p)
		t.Head = append(t.Head, label)
		chart.X = append(chart.X, label)
	}
	for _, p := range sim.HealthyRates() {
		t.Head = append(t.Head, fmt.Sprintf("false at %.0f %%", 100*p))
	}
	for _, n := range noticed {
		row := []string{n.Name}
		for _, calls := range n.Calls {
			if calls < 0 {
				row = append(row, never)
			} else {
				row = append(row, figure.Number(calls))
			}
		}
		for _, trips := range n.False {
			row = append(row, figure.Number(trips))
		}
		t.Add(row...)
		chart.Panels[0].Lines = append(chart.Panels[0].Lines, figure.Line{Name: n.Name, Values: n.Calls})
	}
	return figure.Section{
		Title: "How fast breakers notice",
		Text: fmt.Sprintf("Mean calls from the onset of failures to the trip, after 10,000 calls at 1 %% of failures (%d streams each; \"never\": not each "+
			"time within 20,000 calls), and trips in a million calls at a steady rate of failures, which should not trip. The same seeded streams for all, 100 calls a second.", streams),
		Table: t,
	}, chart, nil
}

// Storms makes the tables and the picture of what repeats do to a server that is down.
func Storms(run sim.Bubble, callers []int, healthy, down time.Duration) ([]figure.Section, *figure.Chart, error) {
	chart := &figure.Chart{
		Title:  "Repeats for each call while the server is down",
		Desc:   "Repeats for each call, by the number of callers, while every attempt fails; at once on the left, after a second on the right. Without breakers. Lower is better.",
		XLabel: "callers", YLabel: "repeats for each call",
		Y: []float64{0, .5, 1, 1.5, 2},
	}
	head := []string{"policy"}
	for _, n := range callers {
		head = append(head, strconv.Itoa(n))
		chart.X = append(chart.X, strconv.Itoa(n))
	}
	var sections []figure.Section
	for _, kind := range []struct {
		title, panel, text string
		policies           []sim.Repeater
		slow               bool
		value              func(s sim.Stormed) []float64
	}{
		{
			"Repeats for each call, refused at once", "refused at once", "Breakers off: what the budgets do by themselves. By the number of callers.",
			sim.Budgets(), false, func(s sim.Stormed) []float64 { return s.Repeats },
		},
		{"Repeats for each call, timing out after a second", "timing out after 1 s", "", sim.Budgets(), true, func(s sim.Stormed) []float64 { return s.Repeats }},
		{
			"Attempts that reach the server for each call, refused at once", "", "With breakers, as they would be used.",
			sim.Wholes(), false, func(s sim.Stormed) []float64 { return s.Attempts },
		},
	} {
		storm := sim.Refused(healthy, down)
		if kind.slow {
			storm = sim.TimedOut(healthy, down)
		}
		stormed, err := sim.Storms(run, kind.policies, callers, storm)
		if err != nil {
			return nil, nil, err
		}
		t := &figure.Table{Head: head}
		panel := figure.Panel{Title: kind.panel}
		for _, s := range stormed {
			row := []string{s.Name}
			for _, v := range kind.value(s) {
				row = append(row, strconv.FormatFloat(v, 'f', 4-min(2, int(v*100)), 64))
			}
			t.Add(row...)
			panel.Lines = append(panel.Lines, figure.Line{Name: s.Name, Values: kind.value(s)})
		}
		if kind.panel != "" {
			chart.Panels = append(chart.Panels, panel)
		}
		sections = append(sections, figure.Section{Title: kind.title, Text: kind.text, Table: t})
	}
	return sections, chart, nil
}

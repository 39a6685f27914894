package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// cards are the figures of a database, each with its last five minutes.
func cards(m *observe.Manager, at time.Time) []Card {
	return []Card{
		callsCard(m, at), failedCard(m, at), repeatsCard(m, at), latencyCard(m, at),
		waitingCard(m, at), budgetCard(m, at), commitsCard(m), poolCard(m, at),
	}
}

// drawn makes a sparkline of one value of each second.
func drawn(m *observe.Manager, at time.Time, peak bool, least float64, value func(*observe.Point) float64) (*Spark, float64) {
	samples := make([]sample, len(m.History))
	for i := range m.History {
		p := &m.History[i]
		samples[i] = sample{at: p.At, value: value(p), away: p.State != breaker.Closed}
	}
	s, top := spark(samples, at, peak, least)
	return &s, top
}

func callsCard(m *observe.Manager, at time.Time) Card {
	s, top := drawn(m, at, false, 1, func(p *observe.Point) float64 { return p.Calls })
	s.Label = "Calls in the last five minutes, at most " + rate(top) + " a second"
	var all uint64
	for i := range m.Operations {
		all += m.Operations[i].Succeeded
	}
	return Card{
		Title: "Calls", Value: rate(m.Rates.Calls), Unit: "/s", Spark: s, Alarm: Healthy,
		Help: "Calls that ended, well or not. Mean of the last ten seconds.",
		Note: amount(all) + " succeeded in all",
	}
}

func failedCard(m *observe.Manager, at time.Time) Card {
	s, top := drawn(m, at, false, 1, func(p *observe.Point) float64 { return p.Failed })
	s.Label = "Failed calls in the last five minutes, at most " + rate(top) + " a second"
	c := Card{
		Title: "Failed calls", Value: rate(m.Rates.Failed), Unit: "/s", Spark: s, Alarm: Healthy,
		Help: "Calls whose caller got an error, after all repeats. Mean of the last ten seconds.",
		Note: "none in the last 10 s",
	}
	if m.Rates.Calls > 0 && m.Rates.Failed > 0 {
		share := m.Rates.Failed / m.Rates.Calls
		c.Note = percent(share) + " of all calls"
		if share >= failing {
			c.Alarm = Degraded
		}
	}
	return c
}

func repeatsCard(m *observe.Manager, at time.Time) Card {
	s, top := drawn(m, at, false, 1, func(p *observe.Point) float64 { return p.Retries })
	s.Label = "Repeats in the last five minutes, at most " + rate(top) + " a second"
	var recovered, lost uint64
	for i := range m.Operations {
		recovered += m.Operations[i].Recovered
		lost += m.Operations[i].Lost
	}
	c := Card{
		Title: "Repeats", Value: rate(m.Rates.Retries), Unit: "/s", Spark: s, Alarm: Healthy,
		Help: "Attempts after the first. Mean of the last ten seconds.",
		Note: "no call needed one yet",
	}
	if recovered+lost > 0 {
		c.Note = fmt.Sprintf("saved %s of %s calls", amount(recovered), amount(recovered+lost))
	}
	return c
}

func latencyCard(m *observe.Manager, at time.Time) Card {
	s, top := drawn(m, at, true, 1e-3, func(p *observe.Point) float64 { return seconds(p.P99) })
	s.Label = "p99 in the last five minutes, at most " + latency(time.Duration(top*float64(time.Second)))
	c := Card{
		Title: "Duration, p99", Value: latency(m.Rates.P99), Spark: s, Alarm: Healthy,
		Help: "99 of 100 calls of the last ten seconds took at most this long, repeats and waiting included.",
		Note: "half of them at most " + latency(m.Rates.P50),
	}
	if m.Rates.P99 == 0 {
		c.Note = "no call ran in the last 10 s"
	}
	return c
}

func waitingCard(m *observe.Manager, at time.Time) Card {
	s, top := drawn(m, at, true, 1, func(p *observe.Point) float64 { return float64(p.Parked) })
	s.Label = "Waiting calls in the last five minutes, at most " + amount(uint64(top))
	c := Card{
		Title: "Waiting calls", Value: amount(uint64(max(m.Parked, 0))), Spark: s, Alarm: Healthy,
		Help: "Parked: they wait for a breaker or the budget, hold no connection, lose no attempt and go on by themselves.",
		Note: "none ever had to wait",
	}
	var parks uint64
	var waited time.Duration
	for i := range m.Operations {
		parks += m.Operations[i].Parks
		waited += m.Operations[i].Waited
	}
	switch {
	case m.Parked > 0:
		c.Note, c.Alarm = "go on by themselves", Degraded
	case parks > 0:
		c.Note = amount(parks) + " waits so far, " + observe.Duration(waited/time.Duration(parks)) + " each"
	}
	return c
}

func budgetCard(m *observe.Manager, at time.Time) Card {
	c := Card{
		Title: "Retry budget", Value: fmt.Sprintf("%.0f", 100*m.Budget.Ratio), Unit: "% left", Alarm: Healthy,
		Help:  "How many more repeats this second has room for. It keeps repeats from holding a server down.",
		Meter: &Meter{Share: m.Budget.Ratio, Label: fmt.Sprintf("%.0f %% of the retry budget is left", 100*m.Budget.Ratio), Class: "good"},
		Note:  "never spent",
	}
	c.Spark, _ = drawn(m, at, false, 1, func(p *observe.Point) float64 { return p.Budget })
	c.Spark.Label = "The part of the retry budget that was left in the last five minutes"
	if m.Budget.Refused > 0 {
		c.Note = count(int(min(m.Budget.Refused, math.MaxInt32)), "repeat", "repeats") + " refused so far"
	}
	if !m.BudgetRefused.IsZero() && at.Sub(m.BudgetRefused) < spentFor {
		c.Alarm, c.Value, c.Unit, c.Meter = Degraded, "Spent", "in the last 10 s", nil
	} else if m.Budget.Ratio < 0.25 {
		c.Meter.Class = "warn"
	}
	return c
}

func commitsCard(m *observe.Manager) Card {
	n := map[perdure.Resolution]uint64{}
	for _, o := range m.Outcomes {
		n[o.Resolution] += o.Count
	}
	all := n[perdure.Committed] + n[perdure.Aborted] + n[perdure.Undecided]
	c := Card{
		Title: "Commits in doubt", Value: amount(all), Alarm: Healthy,
		Help: "Commits whose reply was lost. perdure asks the server what became of each, and never sends one twice.",
	}
	c.Parts = []Part{
		{Icon: "healthy", Label: "committed", Value: amount(n[perdure.Committed]), Class: "good"},
		{Icon: "repeat", Label: "not committed", Value: amount(n[perdure.Aborted]), Class: "calm"},
		{Icon: "unknown", Label: "unknown", Value: amount(n[perdure.Undecided]), Class: "calm"},
	}
	if n[perdure.Undecided] > 0 {
		c.Alarm, c.Parts[2].Class = Unknown, "bad"
	}
	return c
}

func poolCard(m *observe.Manager, at time.Time) Card {
	c := Card{
		Title: "Connections", Alarm: Healthy,
		Help: "Of the program's pool: in use, idle, and what it may still open.",
	}
	p := m.Pool
	if p == nil {
		c.Value, c.Note = "–", "no pool is watched"
		return c
	}
	s, top := drawn(m, at, true, max(float64(p.Max), 1), func(p *observe.Point) float64 { return float64(p.Acquired) })
	s.Label = fmt.Sprintf("Connections in use in the last five minutes, at most %.0f of %d", top, p.Max)
	c.Spark = s
	c.Value, c.Unit = strconv.Itoa(int(p.Acquired)), fmt.Sprintf("of %d in use", p.Max)
	c.Note = fmt.Sprintf("%d idle", p.Idle)
	if p.Connecting > 0 {
		c.Note += fmt.Sprintf(", %d connecting", p.Connecting)
	}
	if w := waits(m.History); w >= 0.05 {
		c.Note += ", " + rate(w) + " callers/s wait"
		if p.Acquired >= p.Max {
			c.Alarm = Degraded
		}
	}
	return c
}

// waits is how many callers a second had to wait for a connection in the last
// ten.
func waits(points []observe.Point) float64 {
	points = points[max(0, len(points)-10):]
	var sum float64
	for i := range points {
		sum += points[i].Waits
	}
	return sum / max(1, float64(len(points)))
}

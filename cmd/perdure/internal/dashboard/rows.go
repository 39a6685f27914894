package dashboard

import (
	"fmt"
	"math"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// breakerRow tells of one breaker.
func breakerRow(m *observe.Manager, name string, s *breaker.Snapshot, at time.Time) Breaker {
	b := Breaker{ID: "db-" + m.Name + "-b-" + name, Operation: name, Database: name == databaseName, State: s.State, Held: s.Held}
	change, changed := m.Changes[name]
	switch {
	case s.Held == breaker.HeldOpen:
		b.Word, b.Means, b.Class = "Held open", "no call passes", "held"
	case s.Held == breaker.HeldClosed:
		b.Word, b.Means, b.Class = "Held closed", "every call passes", "held"
	case s.State == breaker.Open:
		b.Word, b.Means, b.Class = "Open", "no call passes", "open"
	case s.State == breaker.HalfOpen:
		b.Word, b.Means, b.Class = "Half-open", "a few calls try", "half-open"
	default:
		b.Word, b.Means, b.Class = "Closed", "calls pass", "closed"
	}
	switch {
	case s.Held != breaker.NotHeld:
		b.Why = text("by a person")
		if s.Reason != "" {
			b.Why = text("“" + s.Reason + "”")
		}
		if changed {
			b.Why = append(b.Why, Phrase{Text: ", since "}, Phrase{At: change.At})
		}
	case s.State == breaker.Open:
		if changed && !change.Since.IsZero() {
			b.Why = []Phrase{{Text: "since "}, {At: change.Since}, {Text: ", " + s.Reason}}
		} else {
			b.Why = text(s.Reason)
		}
		if !s.NextProbe.IsZero() {
			b.Why = append(b.Why, Phrase{Text: "; next probe " + in(s.NextProbe.Sub(at))})
		}
	case s.State == breaker.HalfOpen:
		b.Why = text(s.Reason + "; closes after a few successes")
	case changed:
		b.Why = []Phrase{{Text: s.Reason + " at "}, {At: change.At}}
	default:
		b.Why = text("no change")
	}
	if s.Threshold > 0 {
		b.Score = fmt.Sprintf("%.1f of %.1f", s.Score, s.Threshold)
		b.Evidence = &Meter{Share: share(s.Score, s.Threshold), Label: "Evidence " + b.Score, Class: evidenceClass(s)}
		b.Baseline = percent(s.Healthy)
	}
	return b
}

func evidenceClass(s *breaker.Snapshot) string {
	switch f := share(s.Score, s.Threshold); {
	case s.State != breaker.Closed || f >= 0.9:
		return "bad"
	case f >= 0.5:
		return "warn"
	}
	return "calm"
}

// operationRow tells of one operation.
func operationRow(m *observe.Manager, s *perdure.OperationSnapshot, at time.Time) Operation {
	r := m.Recent[s.Name]
	o := Operation{
		Name: s.Name, Word: "No breaker", Class: "none",
		Calls: rate(r.Calls), Failed: rate(r.Failed), Retries: rate(r.Retries),
		P50: latency(r.P50), P99: latency(r.P99),
		Helped: "–", Failing: r.Failed >= 0.05,
	}
	if s.Breaker != nil {
		row := breakerRow(m, s.Name, s.Breaker, at)
		o.Word, o.Class = row.Word, row.Class
		o.Away = s.Breaker.State == breaker.Closed && m.Database.State != breaker.Closed
	}
	if s.Recovered+s.Lost > 0 {
		o.Helped = percent(s.SuccessRate)
	}
	points := m.Histories[s.Name]
	calls, latencies := make([]sample, len(points)), make([]sample, len(points))
	offset := len(m.History) - len(points) // the same seconds, as far as both have them
	for i, p := range points {
		j := i + offset
		if j < 0 {
			continue
		}
		away := p.State != breaker.Closed || m.History[j].State != breaker.Closed
		calls[i] = sample{at: m.History[j].At, value: p.Calls, away: away}
		latencies[i] = sample{at: m.History[j].At, value: seconds(p.P99), away: away}
	}
	var top float64
	o.CallsSpark, top = spark(calls, at, false, 1)
	o.CallsSpark.Label = s.Name + ": calls in the last five minutes, at most " + rate(top) + " a second"
	o.LatencySpark, top = spark(latencies, at, true, 1e-3)
	o.LatencySpark.Label = s.Name + ": p99 in the last five minutes, at most " + latency(time.Duration(top*float64(time.Second)))
	return o
}

// seconds is a duration to draw, NaN for none.
func seconds(d time.Duration) float64 {
	if d <= 0 {
		return math.NaN()
	}
	return d.Seconds()
}

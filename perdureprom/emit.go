package perdureprom

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

// Names that a Manager reserves, and label values of our own.
const (
	databaseName = "database"
	otherName    = "other"
	succeeded    = "succeeded"
	failed       = "failed"
	lastAttempt  = 10 // from which on a Manager counts attempts together
)

// emitter sends the metrics of one Manager.
type emitter struct {
	ch    chan<- prometheus.Metric
	descs *[idCount]*prometheus.Desc
}

func (e emitter) send(i id, m prometheus.Metric, err error) {
	if err != nil {
		m = prometheus.NewInvalidMetric(e.descs[i], err)
	}
	e.ch <- m
}

func (e emitter) counter(i id, v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(e.descs[i], prometheus.CounterValue, v, labels...)
	e.send(i, m, err)
}

func (e emitter) gauge(i id, v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(e.descs[i], prometheus.GaugeValue, v, labels...)
	e.send(i, m, err)
}

func (e emitter) histogram(i id, h perdure.Histogram, labels ...string) {
	m, err := newHistogram(e.descs[i], h, labels...)
	e.send(i, m, err)
}

func (e emitter) manager(s perdure.Snapshot) {
	e.breaker(databaseName, &s.Database)
	for i := range s.Operations {
		e.operation(&s.Operations[i])
	}
	e.gauge(budgetRatio, s.Budget.Ratio)
	e.counter(budgetPaid, float64(s.Budget.Paid))
	e.counter(budgetRefused, float64(s.Budget.Refused))
	e.gauge(parkedOperations, float64(s.Parked))
	e.counter(overflowedTotal, float64(s.Overflowed))
	for state, n := range sqlstates(s.States) {
		e.counter(sqlstateErrors, float64(n), state)
	}
	e.outcomes(s.Outcomes)
}

// breaker sends what a breaker does. All transitions that can be are there
// from the start: the first of a series is missed by increase().
func (e emitter) breaker(name string, b *breaker.Snapshot) {
	e.gauge(breakerState, float64(b.State), name)
	held := 0.0
	if b.Held != breaker.NotHeld {
		held = 1
	}
	e.gauge(breakerHeld, held, name)
	e.counter(openSeconds, b.OpenTime.Seconds(), name)
	counts := map[[2]breaker.State]uint64{
		{breaker.Closed, breaker.Open}: 0, {breaker.Open, breaker.HalfOpen}: 0, {breaker.Open, breaker.Closed}: 0,
		{breaker.HalfOpen, breaker.Open}: 0, {breaker.HalfOpen, breaker.Closed}: 0,
	}
	for _, t := range b.Transitions {
		counts[[2]breaker.State{t.From, t.To}] = t.Count
	}
	for t, n := range counts {
		e.counter(transitionsTotal, float64(n), name, t[0].String(), t[1].String())
	}
}

func (e emitter) operation(o *perdure.OperationSnapshot) {
	if o.Breaker != nil {
		e.breaker(o.Name, o.Breaker)
	}
	e.gauge(successRate, o.SuccessRate, o.Name)
	for n := 2; n < lastAttempt; n++ {
		e.counter(retriesTotal, float64(o.Retries[n]), o.Name, strconv.Itoa(n))
	}
	e.counter(retriesTotal, float64(o.Retries[lastAttempt]), o.Name, strconv.Itoa(lastAttempt)+"+")
	e.counter(operationsTotal, float64(o.Succeeded), o.Name, succeeded)
	e.counter(operationsTotal, float64(o.Failed[0]), o.Name, failed)
	for r := perdure.ReasonExhausted; r <= perdure.ReasonPanicked; r++ {
		e.counter(operationsTotal, float64(o.Failed[r]), o.Name, r.String())
	}
	e.counter(retriedTotal, float64(o.Recovered), o.Name, succeeded)
	e.counter(retriedTotal, float64(o.Lost), o.Name, failed)
	e.counter(rejectionsTotal, float64(o.Rejected), o.Name)
	e.counter(parksTotal, float64(o.Parks), o.Name)
	e.counter(parkedSeconds, o.Waited.Seconds(), o.Name)
	for _, c := range o.Errors {
		e.counter(errorsTotal, float64(c.Count), o.Name, c.Category.String(), c.Severity.String())
	}
	e.histogram(operationDuration, o.Calls, o.Name)
	e.histogram(attemptDuration, o.Attempts, o.Name)
	if o.Delays.Count > 0 {
		e.histogram(retryDelay, o.Delays, o.Name)
	}
}

// outcomes sends how commits in doubt ended. Doubts are there from the start,
// for somebody is woken by the first that stays unknown.
func (e emitter) outcomes(all []perdure.OutcomeCount) {
	counts := map[[2]string]uint64{}
	for _, r := range []perdure.Resolution{perdure.Committed, perdure.Aborted, perdure.Undecided} {
		for _, method := range []string{"marker", "token"} {
			counts[[2]string{string(r), method}] = 0
		}
	}
	for _, o := range all { // an adapter may say anything
		counts[[2]string{strings.ToValidUTF8(string(o.Resolution), "?"), strings.ToValidUTF8(o.Method, "?")}] += o.Count
	}
	for k, n := range counts {
		e.counter(commitOutcomes, float64(n), k[0], k[1])
	}
}

// sqlstates returns the counts by SQLSTATE, with what cannot be one as other:
// the method SQLState of an error may return anything.
func sqlstates(counts map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(counts))
	for state, n := range counts {
		if !isSQLState(state) {
			state = otherName
		}
		out[state] += n
	}
	return out
}

func isSQLState(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'A' || s[i] > 'Z') {
			return false
		}
	}
	return len(s) == 5
}

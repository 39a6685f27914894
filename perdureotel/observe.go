package perdureotel

import (
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/perdure/perdure"
)

// databaseName is the breaker of the database.
const databaseName = "database"

// observed are the instruments that are read from a Snapshot.
type observed struct {
	calls, retries, errors, states, rejections   metric.Int64ObservableCounter
	parks, paid, refused, outcomes, overflowed   metric.Int64ObservableCounter
	parkTime                                     metric.Float64ObservableCounter
	parked                                       metric.Int64ObservableUpDownCounter
	breakerState, breakerHeld                    metric.Int64ObservableGauge
	breakerScore, breakerThreshold, budget, rate metric.Float64ObservableGauge
}

func newObserved(meter metric.Meter) (observed, error) {
	var o observed
	var faults []error
	count := func(to *metric.Int64ObservableCounter, name, unit, text string) {
		var err error
		*to, err = meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		faults = append(faults, err)
	}
	state := func(to *metric.Int64ObservableGauge, name, text string) {
		var err error
		*to, err = meter.Int64ObservableGauge(name, metric.WithDescription(text))
		faults = append(faults, err)
	}
	gauge := func(to *metric.Float64ObservableGauge, name, text string) {
		var err error
		*to, err = meter.Float64ObservableGauge(name, metric.WithUnit("1"), metric.WithDescription(text))
		faults = append(faults, err)
	}
	count(&o.calls, "perdure.calls", "{call}", "Calls that ended, by outcome.")
	count(&o.retries, "perdure.retries", "{retry}", "Repeats, by the number of the attempt; 10 counts all from the tenth on.")
	count(&o.errors, "perdure.errors", "{error}", "Attempts that failed, by category and severity.")
	count(&o.states, "perdure.sqlstate.errors", "{error}", "Attempts that failed, by SQLSTATE, of all operations.")
	count(&o.rejections, "perdure.rejections", "{call}", "Calls that a breaker refused before they began.")
	count(&o.parks, "perdure.parks", "{park}", "Times that a call waited for a breaker or the budget.")
	count(&o.paid, "perdure.budget.paid", "{retry}", "Repeats that the budget paid for.")
	count(&o.refused, "perdure.budget.refused", "{retry}", "Repeats that the budget could not pay for.")
	count(&o.outcomes, "perdure.commit.outcomes", "{commit}", "Commits in doubt and runs of a Once, by how they ended.")
	count(&o.overflowed, "perdure.operations.overflowed", "{call}", "Calls that ran as \"other\" for want of room for their name.")
	state(&o.breakerState, "perdure.breaker.state", "State of a circuit breaker: 0 closed, 1 half-open, 2 open.")
	state(&o.breakerHeld, "perdure.breaker.held", "Whether a person holds a breaker: 0 no, 1 open, 2 closed.")
	gauge(&o.breakerScore, "perdure.breaker.score", "Evidence against the operation or the database; the breaker opens at its threshold.")
	gauge(&o.breakerThreshold, "perdure.breaker.threshold", "Evidence at which the breaker opens.")
	gauge(&o.budget, "perdure.budget.ratio", "Part of the retry budget that is left.")
	gauge(&o.rate, "perdure.retry.success_rate", "Of the calls of the last five minutes that needed a repeat, the share that succeeded; 1 without any.")
	var err error
	o.parkTime, err = meter.Float64ObservableCounter("perdure.park.time", metric.WithUnit("s"),
		metric.WithDescription("Time that calls waited for a breaker or the budget."))
	faults = append(faults, err)
	o.parked, err = meter.Int64ObservableUpDownCounter("perdure.parked", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that wait for a breaker or the budget now."))
	return o, errors.Join(append(faults, err)...)
}

func (o observed) all() []metric.Observable {
	return []metric.Observable{
		o.calls, o.retries, o.errors, o.states, o.rejections, o.parks, o.paid, o.refused, o.outcomes, o.overflowed,
		o.parkTime, o.parked, o.breakerState, o.breakerHeld, o.breakerScore, o.breakerThreshold, o.budget, o.rate,
	}
}

// observe tells a Snapshot. Names beyond the limit share one operation in the
// Manager too, so that none is told twice unless the limits differ; then the
// first one is.
func (s *metrics) observe(to metric.Observer, snap perdure.Snapshot) {
	n, base := s.observed, with(s.base)
	to.ObserveInt64(n.parked, int64(snap.Parked), base)
	to.ObserveInt64(n.overflowed, signed(snap.Overflowed), base)
	to.ObserveInt64(n.paid, signed(snap.Budget.Paid), base)
	to.ObserveInt64(n.refused, signed(snap.Budget.Refused), base)
	to.ObserveFloat64(n.budget, snap.Budget.Ratio, base)
	s.observeBreaker(to, databaseName, int64(snap.Database.State), int64(snap.Database.Held), snap.Database.Score, snap.Database.Threshold)
	for state, count := range snap.States {
		to.ObserveInt64(n.states, signed(count), with(s.base, semconv.DBResponseStatusCode(state)))
	}
	for _, o := range snap.Outcomes {
		to.ObserveInt64(n.outcomes, signed(o.Count),
			with(s.base, ResolutionKey.String(string(o.Resolution)), MethodKey.String(o.Method)))
	}
	told := map[*operation]bool{}
	for _, op := range snap.Operations {
		if o := s.operations.get(op.Name); !told[o] {
			told[o] = true
			s.observeOperation(to, o, op)
		}
	}
}

func (s *metrics) observeOperation(to metric.Observer, o *operation, snap perdure.OperationSnapshot) {
	n := s.observed
	to.ObserveInt64(n.rejections, signed(snap.Rejected), o.observe...)
	to.ObserveInt64(n.parks, signed(snap.Parks), o.observe...)
	to.ObserveFloat64(n.parkTime, snap.Waited.Seconds(), o.observe...)
	to.ObserveFloat64(n.rate, snap.SuccessRate, o.observe...)
	to.ObserveInt64(n.calls, signed(snap.Succeeded-snap.Recovered), with(o.kvs, OutcomeKey.String("succeeded")))
	to.ObserveInt64(n.calls, signed(snap.Recovered), with(o.kvs, OutcomeKey.String("recovered")))
	for reason, count := range snap.Failed {
		kvs := []attribute.KeyValue{OutcomeKey.String("failed"), ReasonKey.String(reason.String())}
		if reason == 0 { // the error came back untouched
			kvs = kvs[:1]
		}
		to.ObserveInt64(n.calls, signed(count), with(o.kvs, kvs...))
	}
	for attempt, count := range snap.Retries {
		to.ObserveInt64(n.retries, signed(count), with(o.kvs, AttemptKey.Int(attempt)))
	}
	for _, e := range snap.Errors {
		to.ObserveInt64(n.errors, signed(e.Count),
			with(o.kvs, CategoryKey.String(e.Category.String()), SeverityKey.String(e.Severity.String())))
	}
	if b := snap.Breaker; b != nil {
		s.observeBreaker(to, o.name, int64(b.State), int64(b.Held), b.Score, b.Threshold)
	}
}

func (s *metrics) observeBreaker(to metric.Observer, name string, state, held int64, score, threshold float64) {
	kvs := with(s.base, BreakerKey.String(name))
	to.ObserveInt64(s.observed.breakerState, state, kvs)
	to.ObserveInt64(s.observed.breakerHeld, held, kvs)
	if threshold > 0 {
		to.ObserveFloat64(s.observed.breakerScore, score, kvs)
		to.ObserveFloat64(s.observed.breakerThreshold, threshold, kvs)
	}
}

// with returns base and more as one set. NewSet sorts what it is given, so it
// is given a copy.
func with(base []attribute.KeyValue, more ...attribute.KeyValue) metric.ObserveOption {
	return metric.WithAttributeSet(attribute.NewSet(slices.Concat(base, more)...))
}

// signed is what OpenTelemetry counts in: 2⁶³ events are 29 years at 10 GHz.
func signed(n uint64) int64 { return int64(n) } //nolint:gosec // see above

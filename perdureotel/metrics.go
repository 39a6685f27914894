package perdureotel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/perdure/perdure"
)

// The histograms and the counter that are recorded as things happen; the rest
// is in observe.go.
const (
	callDuration    = "db.client.operation.duration"
	attemptDuration = "perdure.attempt.duration"
	retryDelay      = "perdure.retry.delay"
	transitions     = "perdure.breaker.transitions"
)

// bounds returns the boundaries that the conventions ask for, in seconds.
func bounds() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
}

// patience is how long a duration waits for a collection before it is recorded
// without one. Recording early is never wrong; it only costs time.
const patience = 2 * time.Minute

// metrics records and observes for one Manager.
type metrics struct {
	m          *perdure.Manager
	base       []attribute.KeyValue
	operations *operations

	calls       metric.Float64Histogram
	attempts    metric.Float64Histogram
	delays      metric.Float64Histogram
	transitions metric.Int64Counter
	observed    observed
	collecting  metric.Registration

	waiting atomic.Bool // the timer is set
	mu      sync.Mutex  // guards the fields below
	timer   *time.Timer
	stopped bool
}

func newMetrics(meter metric.Meter, m *perdure.Manager, base []attribute.KeyValue, all *operations) (*metrics, error) {
	s := &metrics{m: m, base: base, operations: all}
	var errs [4]error
	s.calls, errs[0] = meter.Float64Histogram(callDuration, bounds(), metric.WithUnit("s"),
		metric.WithDescription("Duration of database client operations."))
	s.attempts, errs[1] = meter.Float64Histogram(attemptDuration, bounds(), metric.WithUnit("s"),
		metric.WithDescription("Duration of single attempts."))
	s.delays, errs[2] = meter.Float64Histogram(retryDelay, bounds(), metric.WithUnit("s"),
		metric.WithDescription("Time between the end of an attempt and its repeat, parked time included."))
	s.transitions, errs[3] = meter.Int64Counter(transitions, metric.WithUnit("{transition}"),
		metric.WithDescription("Changes of state of circuit breakers."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var err error
	if s.observed, err = newObserved(meter); err != nil {
		return nil, err
	}
	s.collecting, err = meter.RegisterCallback(s.collect, s.observed.all()...)
	return s, err
}

func (s *metrics) hooks() perdure.Hooks {
	return perdure.Hooks{
		Repeat: func(ctx context.Context, e perdure.RepeatEvent) context.Context {
			s.delays.Record(ctx, e.Waited.Seconds(), s.operations.get(e.Op).record...)
			return ctx
		},
		AttemptEnd: s.attemptEnd,
		CallEnd:    s.callEnd,
		BreakerChange: func(e perdure.BreakerEvent) {
			if e.Change.From != e.Change.To {
				s.transitions.Add(root(), 1, metric.WithAttributeSet(attribute.NewSet(append(slices.Clip(s.base),
					BreakerKey.String(s.breaker(e.Operation)), FromKey.String(e.Change.From.String()),
					ToKey.String(e.Change.To.String()))...)))
			}
		},
	}
}

// breaker returns the name under which a breaker is shown.
func (s *metrics) breaker(operation string) string {
	if operation == databaseName {
		return operation
	}
	return s.operations.get(operation).name
}

// attemptEnd records an attempt. A first one that succeeded is recorded with
// its call.
func (s *metrics) attemptEnd(ctx context.Context, e perdure.AttemptEvent) {
	if e.Err == nil && e.Attempt == 1 {
		return
	}
	o := s.operations.get(e.Op)
	opts := o.record
	if e.Err != nil {
		opts = o.failed(failureOf(e.Verdict, reasonOf(e.Err)))
	}
	s.attempts.Record(ctx, e.Duration.Seconds(), opts...)
}

// reasonOf returns the reason of an attempt's error, as far as it has one.
func reasonOf(err error) perdure.Reason {
	if errors.Is(err, perdure.ErrPanicked) {
		return perdure.ReasonPanicked
	}
	return 0
}

// callEnd records a call. One that succeeded at once is only counted, unless
// it belongs to a sampled trace, which is then an exemplar of the histogram.
func (s *metrics) callEnd(ctx context.Context, e perdure.CallEvent) {
	o := s.operations.get(e.Op)
	switch {
	case e.Err != nil:
		s.calls.Record(ctx, e.Elapsed.Seconds(), o.failed(failureOf(e.Verdict, e.Reason))...)
		return
	case e.Attempts == 1 && e.Parked == 0 && !trace.SpanContextFromContext(ctx).IsSampled():
		o.count(e.Elapsed)
		if !s.waiting.Load() {
			s.wait() //nolint:contextcheck // the timer outlives the call
		}
		return
	case e.Attempts == 1:
		s.attempts.Record(ctx, (e.Elapsed - e.Parked).Seconds(), o.record...)
	}
	s.calls.Record(ctx, e.Elapsed.Seconds(), o.record...)
}

// wait sets the timer, so that what was counted is recorded though nobody
// collects: a view that drops all that is observed drops the callback too.
func (s *metrics) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || !s.waiting.CompareAndSwap(false, true) {
		return
	}
	s.timer = time.AfterFunc(patience, func() { s.record(root()) })
}

// record records what was counted. The calls that are counted meanwhile are
// recorded now or set the timer anew.
func (s *metrics) record(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.waiting.Store(false)
	s.operations.drain(ctx, s.calls, s.attempts)
}

// collect is called by the provider before it reads.
func (s *metrics) collect(ctx context.Context, to metric.Observer) error {
	s.record(ctx)
	s.observe(to, s.m.Snapshot())
	return nil
}

// stop records what was counted and ends the observations.
func (s *metrics) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.record(root())
	_ = s.collecting.Unregister() // no provider's answer changes anything
}

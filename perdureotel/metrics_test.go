package perdureotel_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
)

// take is work that takes d.
func take(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error { return pause(ctx, d) }
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failing is work that fails n times, then succeeds.
func failing(n int, err error) func(context.Context) error {
	return func(context.Context) error {
		n--
		if n >= 0 {
			return err
		}
		return nil
	}
}

func histogram(tb testing.TB, all map[string]metricdata.Metrics, name string) []metricdata.HistogramDataPoint[float64] {
	tb.Helper()
	h, ok := all[name].Data.(metricdata.Histogram[float64])
	if !ok {
		tb.Fatalf("%s is %T, want a histogram", name, all[name].Data)
	}
	return h.DataPoints
}

// counts returns how many durations there are by the attributes that tell
// operations and errors apart.
func counts(points []metricdata.HistogramDataPoint[float64]) map[string]uint64 {
	out := map[string]uint64{}
	for _, p := range points {
		out[words(p.Attributes, "db.operation.name", "error.type", "db.response.status_code")] = p.Count
	}
	return out
}

func words(set attribute.Set, keys ...attribute.Key) string {
	var out []string
	for _, key := range keys {
		if v, ok := set.Value(key); ok {
			out = append(out, v.String())
		}
	}
	return strings.Join(out, " ")
}

// numbers returns the values of a counter or gauge by the given attributes.
func numbers(tb testing.TB, all map[string]metricdata.Metrics, name string, keys ...attribute.Key) map[string]float64 {
	tb.Helper()
	out := map[string]float64{}
	switch data := all[name].Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			out[words(p.Attributes, keys...)] += float64(p.Value)
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			out[words(p.Attributes, keys...)] += float64(p.Value)
		}
	case metricdata.Sum[float64]:
		for _, p := range data.DataPoints {
			out[words(p.Attributes, keys...)] += p.Value
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			out[words(p.Attributes, keys...)] += p.Value
		}
	default:
		tb.Fatalf("%s is %T", name, data)
	}
	return out
}

func TestMetricsTellWhatHappened(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		ctx := r.Context()
		read := perdure.Op{Name: "read", ReadOnly: true}
		write := perdure.Op{Name: "write"}
		for range 3 {
			_ = r.m.Do(ctx, read, take(20*time.Millisecond))
		}
		_ = r.m.Do(ctx, read, failing(2, sqlError("40001")))
		_ = r.m.Do(ctx, write, failing(1, sqlError("23505")))
		_ = r.m.Do(ctx, write, failing(1, errOwn))
		r.m.Breaker("write").HoldOpen("test")
		_ = r.m.Do(ctx, write, succeed)
		r.m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "write", Resolution: perdure.Committed, Method: "marker"})
		all := collect(r, r.reader)

		calls := histogram(r, all, "db.client.operation.duration")
		want := map[string]uint64{"read": 4, "write 23505 23505": 1, "write _OTHER": 1, "write breaker_open": 1}
		if diff := cmp.Diff(want, counts(calls)); diff != "" {
			r.Errorf("calls: %s", diff)
		}
		attempts := histogram(r, all, "perdure.attempt.duration")
		want = map[string]uint64{"read": 4, "read 40001 40001": 2, "write 23505 23505": 1, "write _OTHER": 1}
		if diff := cmp.Diff(want, counts(attempts)); diff != "" {
			r.Errorf("attempts: %s", diff)
		}
		for _, tt := range []struct {
			name string
			keys []attribute.Key
			want map[string]float64
		}{
			{"perdure.calls", []attribute.Key{"db.operation.name", "perdure.outcome", "perdure.reason"}, map[string]float64{
				"read succeeded": 3, "read recovered": 1, "write succeeded": 0, "write recovered": 0, "write failed": 2, "write failed breaker_open": 1,
			}},
			{"perdure.retries", []attribute.Key{"db.operation.name", "perdure.attempt"}, map[string]float64{"read 2": 1, "read 3": 1}},
			{"perdure.errors", []attribute.Key{"perdure.category"}, map[string]float64{"transient": 2, "constraint": 1, "unknown": 1}},
			{"perdure.sqlstate.errors", []attribute.Key{"db.response.status_code"}, map[string]float64{"40001": 2, "23505": 1}},
			{"perdure.rejections", []attribute.Key{"db.operation.name"}, map[string]float64{"read": 0, "write": 1}},
			{"perdure.breaker.state", []attribute.Key{"perdure.breaker"}, map[string]float64{"database": 0, "read": 0, "write": 2}},
			{"perdure.breaker.held", []attribute.Key{"perdure.breaker"}, map[string]float64{"database": 0, "read": 0, "write": 1}},
			{"perdure.breaker.transitions", []attribute.Key{"perdure.breaker", "perdure.from", "perdure.to"}, map[string]float64{
				"write closed open": 1,
			}},
			{"perdure.commit.outcomes", []attribute.Key{"perdure.resolution", "perdure.method"}, map[string]float64{"committed marker": 1}},
			{"perdure.retry.success_rate", []attribute.Key{"db.operation.name"}, map[string]float64{"read": 1, "write": 1}},
			{"perdure.parked", nil, map[string]float64{"": 0}},
			{"perdure.budget.ratio", nil, map[string]float64{"": 1}},
		} {
			if diff := cmp.Diff(tt.want, numbers(r, all, tt.name, tt.keys...)); diff != "" {
				r.Errorf("%s: %s", tt.name, diff)
			}
		}
		if n := counts(histogram(r, all, "perdure.retry.delay"))["read"]; n != 2 {
			r.Errorf("%d delays, want 2", n)
		}
	})
}

func TestEveryMeasurementNamesItsDatabase(t *testing.T) {
	o := options{manager: perdure.Config{Name: "warehouse"}}
	o.otel.ServerAddress, o.otel.ServerPort, o.otel.Namespace = "db.example", 5432, "shop"
	bubble(t, o, func(r *rig) {
		_ = r.m.Do(r.Context(), benchOp, failing(1, sqlError("40001")))
		want := "postgresql warehouse shop db.example 5432"
		keys := []attribute.Key{"db.system.name", "perdure.manager", "db.namespace", "server.address", "server.port"}
		for name, m := range collect(r, r.reader) {
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok {
				for _, p := range data.DataPoints {
					if got := words(p.Attributes, keys...); got != want {
						r.Errorf("%s is of %q, want %q", name, got, want)
					}
				}
				continue
			}
			for got := range numbers(r, map[string]metricdata.Metrics{name: m}, name, keys...) {
				if got != want {
					r.Errorf("%s is of %q, want %q", name, got, want)
				}
			}
		}
		for _, s := range r.spans.GetSpans() {
			if got := words(attribute.NewSet(s.Attributes...), keys...); got != want {
				r.Errorf("span %s is of %q, want %q", s.Name, got, want)
			}
		}
	})
}

func TestDurationsOfUnsampledCallsAreExactTo1Point6Percent(t *testing.T) {
	bubble(t, options{sampler: trace.NeverSample()}, func(r *rig) {
		var sum float64
		for i := range 50 {
			d := time.Duration(1.37 * float64(i+1) * float64(i+1) * float64(time.Millisecond))
			sum += d.Seconds()
			if err := r.m.Do(r.Context(), benchOp, take(d)); err != nil {
				r.Fatal(err)
			}
		}
		points := histogram(r, collect(r, r.reader), "db.client.operation.duration")
		if len(points) != 1 || points[0].Count != 50 {
			r.Fatalf("%d series with %v, want one with 50", len(points), counts(points))
		}
		if off := math.Abs(points[0].Sum-sum) / sum; off > 0.016 {
			r.Errorf("the sum is %v, want %v: %.2f %% off", points[0].Sum, sum, 100*off)
		}
		again := histogram(r, collect(r, r.reader), "db.client.operation.duration")
		if again[0].Count != 50 {
			r.Errorf("%d calls after the second collection, want 50", again[0].Count)
		}
	})
}

func TestACallOfASampledTraceIsAnExemplar(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		_ = r.m.Do(r.Context(), benchOp, take(time.Second))
		points := histogram(r, collect(r, r.reader), "db.client.operation.duration")
		if len(points) != 1 || len(points[0].Exemplars) != 1 {
			r.Fatalf("%+v, want one series with an exemplar", points)
		}
		got, want := hex.EncodeToString(points[0].Exemplars[0].TraceID), r.spans.GetSpans()[0].SpanContext.TraceID().String()
		if got != want {
			r.Errorf("the exemplar is of trace %s, want %s", got, want)
		}
	})
}

func TestWhatNobodyCollectsIsRecordedByTime(t *testing.T) {
	drop := metric.NewView(metric.Instrument{Name: "perdure.*"}, metric.Stream{Aggregation: metric.AggregationDrop{}})
	bubble(t, options{sampler: trace.NeverSample(), more: []metric.Option{metric.WithView(drop)}}, func(r *rig) {
		_ = r.m.Do(r.Context(), benchOp, succeed)
		if all := collect(r, r.reader); len(all) != 0 {
			r.Fatalf("collected %v, want nothing yet", all)
		}
		_ = pause(r.Context(), 3*time.Minute)
		if n := counts(histogram(r, collect(r, r.reader), "db.client.operation.duration"))["bench.read"]; n != 1 {
			r.Errorf("%d calls, want 1", n)
		}
		_ = r.m.Do(r.Context(), benchOp, succeed)
		r.stop()
		if n := counts(histogram(r, collect(r, r.reader), "db.client.operation.duration"))["bench.read"]; n != 2 {
			r.Errorf("%d calls after stop, want 2", n)
		}
	})
}

func TestACallThatSucceedsAtOnceAllocatesNothing(t *testing.T) {
	bubble(t, options{sampler: trace.NeverSample()}, func(r *rig) {
		m, err := perdure.New(perdure.Config{})
		if err != nil {
			r.Fatal(err)
		}
		stop, err := perdureotel.Instrument(m, perdureotel.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(r.reader2()))})
		if err != nil {
			r.Fatal(err)
		}
		defer stop()
		ctx := r.Context()
		if n := testing.AllocsPerRun(1000, func() { _ = m.Do(ctx, benchOp, succeed) }); n != 0 {
			r.Errorf("%v allocations, want none", n)
		}
	})
}

func TestManagersShareAProvider(t *testing.T) {
	bubble(t, options{manager: perdure.Config{Name: "a"}}, func(r *rig) {
		m, err := perdure.New(perdure.Config{Name: "b"})
		if err != nil {
			r.Fatal(err)
		}
		provider := metric.NewMeterProvider(metric.WithReader(r.reader2()))
		stopA, err := perdureotel.Instrument(r.m, perdureotel.Config{MeterProvider: provider})
		if err != nil {
			r.Fatal(err)
		}
		defer stopA()
		stopB, err := perdureotel.Instrument(m, perdureotel.Config{MeterProvider: provider})
		if err != nil {
			r.Fatal(err)
		}
		_ = r.m.Do(r.Context(), benchOp, succeed)
		_ = m.Do(r.Context(), benchOp, succeed)
		_ = m.Do(r.Context(), benchOp, succeed)
		calls := func() map[string]float64 {
			return numbers(r, collect(r, r.second), "perdure.calls", "perdure.manager")
		}
		if diff := cmp.Diff(map[string]float64{"a": 1, "b": 2}, calls()); diff != "" {
			r.Error(diff)
		}
		stopB()
		stopB()
		if diff := cmp.Diff(map[string]float64{"a": 1}, calls()); diff != "" {
			r.Errorf("after one has stopped: %s", diff)
		}
	})
}

func TestTheNumberOfSeriesIsBounded(t *testing.T) {
	o := options{manager: perdure.Config{MaxOperations: 3}}
	o.otel.MaxOperations = 3
	bubble(t, o, func(r *rig) {
		for i := range 10 {
			_ = r.m.Do(r.Context(), perdure.Op{Name: "op-" + strconv.Itoa(i)}, succeed)
		}
		for i := range 200 {
			_ = r.m.Do(r.Context(), perdure.Op{Name: "op-0"}, failing(1, sqlError(fmt.Sprintf("X%04d", i))))
		}
		all := collect(r, r.reader)
		got := counts(histogram(r, all, "db.client.operation.duration"))
		if got["other"] != 7 || got["op-2"] != 1 {
			r.Errorf("other has %d calls and op-2 %d, want 7 and 1", got["other"], got["op-2"])
		}
		if len(got) != 4+65 || got["op-0 _OTHER"] != 200-64 {
			r.Errorf("%d series, %d errors without a code of their own, want 69 and 136", len(got), got["op-0 _OTHER"])
		}
		if n := numbers(r, all, "perdure.operations.overflowed")[""]; n != 7 {
			r.Errorf("%v calls overflowed, want 7", n)
		}
	})
}

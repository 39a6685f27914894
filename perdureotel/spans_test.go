package perdureotel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/perdureotel"
)

var fixed = &perdure.Policy{Contention: backoff.Config{
	Func: func(int) time.Duration { return 2 * time.Second }, Jitter: backoff.NoJitter,
}}

// named returns the spans of that name, in the order in which they ended.
func (r *rig) named(name string) tracetest.SpanStubs {
	var out tracetest.SpanStubs
	for _, s := range r.spans.GetSpans() {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

func say(s tracetest.SpanStub, keys ...attribute.Key) string {
	return words(attribute.NewSet(s.Attributes...), keys...)
}

func TestACallIsASpanAndEachRepeatItsChild(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		tracer := r.tracer.Tracer("test")
		ctx, request := tracer.Start(r.Context(), "request")
		attempt := 0
		err := r.m.Do(ctx, perdure.Op{Name: "orders.claim", Idempotent: true, Policy: fixed}, func(ctx context.Context) error {
			attempt++
			_, inside := tracer.Start(ctx, fmt.Sprintf("statement %d", attempt))
			defer inside.End()
			if attempt < 3 {
				return sqlError("40001")
			}
			return pause(ctx, time.Second)
		})
		request.End()
		if err != nil {
			r.Fatal(err)
		}
		calls, repeats := r.named("orders.claim"), r.named("orders.claim attempt")
		if len(calls) != 1 || len(repeats) != 2 {
			r.Fatalf("%d calls and %d repeats, want 1 and 2", len(calls), len(repeats))
		}
		call := calls[0]
		parents := map[string]string{}
		for _, s := range r.spans.GetSpans() {
			parents[s.Name+say(s, "perdure.attempt")] = s.Parent.SpanID().String()
		}
		id := func(s tracetest.SpanStub) string { return s.SpanContext.SpanID().String() }
		want := map[string]string{
			"request": "0000000000000000", "orders.claim": request.SpanContext().SpanID().String(),
			"orders.claim attempt2": id(call), "orders.claim attempt3": id(call),
			"statement 1": id(call), "statement 2": id(repeats[0]), "statement 3": id(repeats[1]),
		}
		if diff := cmp.Diff(want, parents); diff != "" {
			r.Errorf("parents: %s", diff)
		}
		if got := say(call, "db.system.name", "db.operation.name", "perdure.attempts"); got != "postgresql orders.claim 3" {
			r.Errorf("the call says %q", got)
		}
		if call.Status.Code != codes.Unset || call.SpanKind != api.SpanKindClient || call.EndTime.Sub(call.StartTime) != 5*time.Second {
			r.Errorf("status %v, kind %v, took %v", call.Status, call.SpanKind, call.EndTime.Sub(call.StartTime))
		}
		failed := repeats[0]
		if got := say(failed, "perdure.waited", "error.type", "db.response.status_code", "perdure.category", "perdure.severity"); got !=
			"2 40001 40001 transient medium" || failed.Status != (trace.Status{Code: codes.Error, Description: "40001"}) {
			r.Errorf("the repeat that failed says %q, status %v", got, failed.Status)
		}
		if repeats[1].Status.Code != codes.Unset {
			r.Errorf("the repeat that succeeded has status %v", repeats[1].Status)
		}
	})
}

func TestACallThatEndsInAnyWayEndsItsSpan(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(r *rig, ctx context.Context, op perdure.Op)
		want string // error.type and reason
	}{
		{"success", func(r *rig, ctx context.Context, op perdure.Op) { _ = r.m.Do(ctx, op, succeed) }, ""},
		{"untouched", func(r *rig, ctx context.Context, op perdure.Op) {
			_ = r.m.Do(ctx, op, failing(1, sqlError("23505")))
		}, "23505"},
		{"exhausted", func(r *rig, ctx context.Context, op perdure.Op) {
			_ = r.m.Do(ctx, op, failing(99, sqlError("40001")))
		}, "40001 exhausted"},
		{"refused", func(r *rig, ctx context.Context, op perdure.Op) {
			r.m.Breaker("database").HoldOpen("test")
			_ = r.m.Do(ctx, op, succeed)
		}, "breaker_open breaker_open"},
		{"canceled while it waits", func(r *rig, ctx context.Context, op perdure.Op) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			_ = r.m.Do(ctx, op, failing(99, sqlError("40001")))
		}, "40001 canceled"},
		{"panicked", func(r *rig, ctx context.Context, op perdure.Op) {
			defer func() { _ = recover() }()
			_ = r.m.Do(ctx, op, func(context.Context) error { panic(secret) })
		}, "panicked panicked"},
		{"panicked in a repeat", func(r *rig, ctx context.Context, op perdure.Op) {
			defer func() { _ = recover() }()
			first := true
			_ = r.m.Do(ctx, op, func(context.Context) error {
				if first {
					first = false
					return sqlError("40001")
				}
				panic(secret)
			})
		}, "panicked panicked"},
		{"closed", func(r *rig, ctx context.Context, op perdure.Op) {
			_ = r.m.Close(ctx)
			_ = r.m.Do(ctx, op, succeed)
		}, "canceled canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				tt.do(r, r.Context(), perdure.Op{Name: "op", Idempotent: true, Policy: fixed})
				calls := r.named("op")
				if len(calls) != 1 {
					r.Fatalf("%d spans, want 1", len(calls))
				}
				if got := say(calls[0], "error.type", "perdure.reason"); got != tt.want {
					r.Errorf("the span says %q, want %q", got, tt.want)
				}
				if failed := calls[0].Status.Code == codes.Error; failed != (tt.want != "") {
					r.Errorf("status %v", calls[0].Status)
				}
			})
		})
	}
}

func TestCallsThatWaitOrAreRefusedLinkToTheOutage(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		park := perdure.Op{Name: "park", Policy: &perdure.Policy{Park: time.Hour}}
		b := r.m.Breaker("database")
		b.HoldOpen("upgrade")
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.m.Do(r.Context(), park, succeed) })
		_ = r.m.Do(r.Context(), benchOp, succeed)
		_ = pause(r.Context(), time.Minute)
		b.HoldClosed("done")
		wg.Wait()
		outages := r.named("perdure.outage")
		if len(outages) != 1 {
			r.Fatalf("%d outages, want 1", len(outages))
		}
		outage := outages[0]
		if got := say(outage, "perdure.breaker", "perdure.reason", "perdure.held"); got != "database upgrade open" {
			r.Errorf("the outage says %q", got)
		}
		if took := outage.EndTime.Sub(outage.StartTime); took != time.Minute || outage.Parent.IsValid() {
			r.Errorf("the outage took %v under %v, want a minute and no parent", took, outage.Parent)
		}
		for _, name := range []string{"park", "bench.read"} {
			s := r.named(name)[0]
			if len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != outage.SpanContext.SpanID() {
				r.Errorf("%s has links %v, want one to the outage", name, s.Links)
			}
		}
		if got := say(r.named("park")[0], "perdure.parked"); got != "60" {
			r.Errorf("parked for %q s, want 60", got)
		}
		events := r.logs.named("perdure.breaker.changed")
		if len(events) != 2 {
			r.Fatalf("%d changes, want 2", len(events))
		}
		for _, e := range events {
			if e.TraceID() != outage.SpanContext.TraceID() {
				r.Errorf("a change is told in trace %s, want the outage's", e.TraceID())
			}
		}
	})
}

func TestAnOutageThatIsOpenEndsWithStop(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		_ = r.m.Do(r.Context(), benchOp, succeed)
		r.m.Breaker("bench.read").HoldOpen("test")
		r.stop()
		if n := len(r.named("perdure.outage")); n != 1 {
			r.Errorf("%d outages ended, want 1", n)
		}
		if r.m.Breaker("bench.read").State() != breaker.Open {
			r.Error("stop changed the breaker")
		}
	})
}

func TestOneIDLeadsFromTheCallToEverythingElse(t *testing.T) {
	for _, given := range []string{"", "request-7"} {
		t.Run("given "+given, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				ctx, request := r.tracer.Tracer("test").Start(r.Context(), "request")
				traceID := request.SpanContext().TraceID()
				want := traceID.String()
				if given != "" {
					ctx, want = perdure.WithCorrelationID(ctx, given), given
				}
				err := r.m.Do(ctx, perdure.Op{Name: "op", Idempotent: true, Policy: fixed}, func(ctx context.Context) error {
					r.m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "op", Resolution: perdure.Aborted, Method: "token"})
					return sqlError("40001")
				})
				request.End()
				e, ok := errors.AsType[*perdure.Error](err)
				if !ok || e.CorrelationID != want {
					r.Errorf("the error has ID %q, want %q", e.CorrelationID, want)
				}
				if got := say(r.named("op")[0], "perdure.correlation_id"); got != want {
					r.Errorf("the span has ID %q, want %q", got, want)
				}
				for name, n := range map[string]int{
					"perdure.attempt.failed": 10, "perdure.commit.resolved": 10, "perdure.call.failed": 1,
				} {
					events := r.logs.named(name)
					if len(events) != n {
						r.Errorf("%d events %s, want %d", len(events), name, n)
					}
					for _, e := range events {
						if got := field(e, "perdure.correlation_id"); got != want || e.TraceID() != traceID {
							r.Errorf("%s has ID %q in trace %s, want %q in %s", name, got, e.TraceID(), want, traceID)
						}
					}
				}
				last := r.logs.named("perdure.attempt.failed")[9]
				if repeats := r.named("op attempt"); last.SpanID() != repeats[8].SpanContext.SpanID() {
					r.Error("the last attempt is not told within its span")
				}
			})
		})
	}
}

func field(r sdklog.Record, key attribute.Key) string {
	var out string
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		if kv.Key == key {
			out = kv.Value.String()
		}
		return true
	})
	return out
}

func TestEventsOfATraceThatIsNotSampledAreLeftOut(t *testing.T) {
	bubble(t, options{sampler: trace.NeverSample()}, func(r *rig) {
		_ = r.m.Do(r.Context(), benchOp, failing(99, sqlError("40001")))
		if n := len(r.logs.all); n != 0 {
			r.Errorf("%d events, want none", n)
		}
	})
}

func TestNothingShowsTheTextOfAnError(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		for _, err := range []error{sqlError("40001"), sqlError("23505"), sqlError("22P02"), errOwn, perdure.Transient(errOwn)} {
			_ = r.m.Do(r.Context(), perdure.Op{Name: "op", Idempotent: true}, failing(99, err))
		}
		var shown strings.Builder
		fmt.Fprintf(&shown, "%+v", r.spans.GetSpans())
		fmt.Fprintf(&shown, "%+v", collect(r, r.reader))
		for _, e := range r.logs.all {
			fmt.Fprint(&shown, e.Body())
			e.WalkAttributes(func(kv attribute.KeyValue) bool { fmt.Fprint(&shown, kv); return true })
		}
		if strings.Contains(shown.String(), secret) {
			r.Error("the text of an error is shown")
		}
		if n := len(r.logs.named("perdure.call.failed")); n != 5 {
			r.Errorf("%d calls failed, want 5", n)
		}
	})
}

func TestManyCallsAtOnce(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 50 {
					op := perdure.Op{Name: fmt.Sprintf("op-%d", i%5), Idempotent: true}
					_ = r.m.Do(r.Context(), op, func(ctx context.Context) error {
						return r.m.Do(ctx, benchOp, failing(i%3, sqlError("40001")))
					})
				}
			})
		}
		wg.Go(func() {
			for range 20 {
				collect(r, r.reader)
			}
		})
		wg.Wait()
		var calls uint64
		for _, n := range counts(histogram(r, collect(r, r.reader), "db.client.operation.duration")) {
			calls += n
		}
		if calls != 800 || len(r.named("bench.read")) != 400 {
			r.Errorf("%d calls and %d spans, want 800 and 400", calls, len(r.named("bench.read")))
		}
	})
}

func TestInstrumentRefusesWhatItCannotShow(t *testing.T) {
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := perdureotel.Instrument(nil, perdureotel.Config{}); err == nil {
		t.Error("a nil Manager is taken")
	}
	_, err = perdureotel.Instrument(m, perdureotel.Config{ServerPort: 70000, MaxOperations: -1})
	for _, want := range []string{"server_port: 70000", "without server_address", "max_operations: -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Instrument() = %v, want %q in it", err, want)
		}
	}
	stop, err := perdureotel.Instrument(m, perdureotel.Config{TracerProvider: noop.NewTracerProvider()})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := m.Do(t.Context(), benchOp, succeed); err != nil {
		t.Error(err)
	}
}

func TestSQLCommentCarriesTheTrace(t *testing.T) {
	provider := trace.NewTracerProvider()
	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	defer span.End()
	sc := span.SpanContext()
	want := "select 1 -- why\n/*traceparent='00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01'*/"
	if got := perdureotel.SQLComment(ctx, "select 1 -- why"); got != want {
		t.Errorf("SQLComment() = %q, want %q", got, want)
	}
	state, err := api.ParseTraceState("vendor=a*/b'")
	if err != nil {
		t.Fatal(err)
	}
	ctx = api.ContextWithSpanContext(ctx, sc.WithTraceState(state))
	if got := perdureotel.SQLComment(ctx, "x"); strings.Count(got, "*/") != 1 || !strings.Contains(got, "a%2A%2Fb%27") {
		t.Errorf("SQLComment() = %q: the state is not escaped", got)
	}
	ctx = api.ContextWithSpanContext(ctx, sc.WithTraceFlags(0))
	if got := perdureotel.SQLComment(ctx, "x"); got != "x" {
		t.Errorf("SQLComment() = %q without a sampled trace", got)
	}
	if got := perdureotel.SQLComment(t.Context(), "x"); got != "x" {
		t.Errorf("SQLComment() = %q without a trace", got)
	}
}

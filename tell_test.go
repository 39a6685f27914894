package perdure_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
)

type startKey struct{}

// tale collects what the hooks tell, with the mark that their context carries.
type tale []string

func (l *tale) add(ctx context.Context, what string) {
	mark, _ := ctx.Value(startKey{}).(string)
	*l = append(*l, what+" under "+mark)
}

func (l *tale) hooks() perdure.Hooks {
	return perdure.Hooks{
		CallStart: func(ctx context.Context, e perdure.CallStartEvent) context.Context {
			*l = append(*l, "start "+e.Op)
			return context.WithValue(ctx, startKey{}, e.Op)
		},
		Repeat: func(ctx context.Context, e perdure.RepeatEvent) context.Context {
			l.add(ctx, "repeat after "+e.Waited.String()+" "+e.Verdict.SQLState)
			return context.WithValue(ctx, startKey{}, "repeat")
		},
		AttemptEnd: func(ctx context.Context, _ perdure.AttemptEvent) { l.add(ctx, "attempt") },
		CallEnd:    func(ctx context.Context, e perdure.CallEvent) { l.add(ctx, "end "+e.Reason.String()) },
	}
}

func TestTheHooksOfACallRunUnderTheContextOfItsStart(t *testing.T) {
	var told tale
	second := func(int) time.Duration { return time.Second }
	op := perdure.Op{Name: "told", Idempotent: true, Policy: &perdure.Policy{}}
	op.Policy.Contention = backoff.Config{Func: second, Jitter: backoff.NoJitter}
	bubble(t, perdure.Config{Hooks: told.hooks()}, func(t managed) {
		failures := 1
		err := t.m.Do(t.Context(), op, func(ctx context.Context) error {
			told.add(ctx, "work")
			failures--
			if failures >= 0 {
				return sqlError("40001")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		t.m.Breaker("told").HoldOpen("test")
		if err := t.m.Do(t.Context(), op, succeed); !errors.Is(err, perdure.ErrBreakerOpen) {
			t.Errorf("Do() = %v, want ErrBreakerOpen", err)
		}
	})
	want := tale{
		"start told", "work under told", "attempt under told",
		"repeat after 1s 40001 under told", "work under repeat", "attempt under told", "end  under told",
		"start told", "end breaker_open under told",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestJoinedStartsPassTheContextOn(t *testing.T) {
	var a, b tale
	joined := perdure.JoinHooks(a.hooks(), b.hooks())
	m := newManager(t, perdure.Config{Hooks: joined})
	if err := m.Do(t.Context(), benchOp, succeed); err != nil {
		t.Fatal(err)
	}
	want := tale{"start bench.read", "attempt under bench.read", "end  under bench.read"}
	if diff := cmp.Diff([]tale{want, want}, []tale{a, b}); diff != "" {
		t.Error(diff)
	}
}

func TestOneFailureHasOneCorrelationID(t *testing.T) {
	trace := func(context.Context) string { return "trace" }
	for _, tt := range []struct {
		name  string
		ctx   func(context.Context) context.Context
		hooks perdure.Hooks
		want  string // "": a new one
	}{
		{
			name: "the caller's comes first", want: "given", hooks: perdure.Hooks{CorrelationID: trace},
			ctx: func(ctx context.Context) context.Context { return perdure.WithCorrelationID(ctx, "given") },
		},
		{name: "then that of the trace", want: "trace", hooks: perdure.Hooks{CorrelationID: trace}},
		{name: "a hook without one leaves it to the next", want: "trace", hooks: perdure.JoinHooks(
			perdure.Hooks{CorrelationID: func(context.Context) string { return "" }}, perdure.Hooks{CorrelationID: trace})},
		{name: "of two traces the first counts", want: "trace", hooks: perdure.JoinHooks(
			perdure.Hooks{CorrelationID: trace}, perdure.Hooks{CorrelationID: func(context.Context) string { return "another" }})},
		{name: "otherwise one is made"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ids []string
			m := newManager(t, perdure.Config{Hooks: perdure.JoinHooks(tt.hooks, perdure.Hooks{
				CallEnd:       func(_ context.Context, e perdure.CallEvent) { ids = append(ids, e.CorrelationID) },
				CommitOutcome: func(_ context.Context, e perdure.OutcomeEvent) { ids = append(ids, e.CorrelationID) },
			})})
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx(ctx)
			}
			err := m.Do(ctx, perdure.Op{Name: "outer"}, func(ctx context.Context) error {
				return m.Guarded(ctx, perdure.Op{Name: "inner"}, func(ctx context.Context, _ int) (perdure.Judgement, error) {
					id := m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "inner", Resolution: perdure.Undecided, Method: "marker"})
					return perdure.Judgement{
						Repeat: perdure.RepeatNever, Reason: perdure.ReasonOutcomeUnknown, CorrelationID: id,
					}, errOwn
				})
			})
			e, ok := errors.AsType[*perdure.Error](err)
			if !ok {
				t.Fatalf("Do() = %v, want an Error", err)
			}
			if tt.want != "" && e.CorrelationID != tt.want || len(e.CorrelationID) == 0 {
				t.Errorf("the error has the ID %q, want %q", e.CorrelationID, tt.want)
			}
			if diff := cmp.Diff([]string{e.CorrelationID, e.CorrelationID, e.CorrelationID}, ids); diff != "" {
				t.Errorf("outcome, inner and outer call: %s", diff)
			}
		})
	}
}

func TestACommitKnownWithoutDoubtGetsNoCorrelationID(t *testing.T) {
	m := newManager(t, perdure.Config{Hooks: perdure.Hooks{CommitOutcome: func(context.Context, perdure.OutcomeEvent) {}}})
	if id := m.CommitOutcome(t.Context(), perdure.OutcomeEvent{Op: "x", Resolution: perdure.Run}); id != "" {
		t.Errorf("the ID is %q, want none", id)
	}
}

package perdure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

func TestTheRuleOfRepeating(t *testing.T) {
	fast := &perdure.Policy{Backoff: noDelay, Contention: noDelay, Overload: noDelay}
	no := perdure.Op{Name: "rule.once", Policy: fast}
	yes := perdure.Op{Name: "rule.idempotent", Idempotent: true, Policy: fast}
	reads := perdure.Op{Name: "rule.reads", ReadOnly: true, Policy: fast}
	for _, tt := range []struct {
		name     string
		op       perdure.Op
		err      error
		attempts int
		reason   perdure.Reason // zero: the error comes back untouched
	}{
		{"a permanent error comes back untouched", yes, sqlError("23505"), 1, 0},
		{"an error without a verdict is not repeated", yes, errOwn, 1, 0},
		{"a deadlock of an idempotent op is repeated ten times", yes, sqlError("40P01"), 10, perdure.ReasonExhausted},
		{"a deadlock of any other op is not", no, sqlError("40P01"), 1, perdure.ReasonNotIdempotent},
		{"a lost connection of a read is repeated three times", reads, io.ErrUnexpectedEOF, 3, perdure.ReasonExhausted},
		{"a lost connection of any other op is not", no, io.ErrUnexpectedEOF, 1, perdure.ReasonNotIdempotent},
		{"a marked error is repeated", yes, perdure.Transient(errOwn), 3, perdure.ReasonExhausted},
		{"a marked error of any other op is not", no, perdure.Transient(errOwn), 1, perdure.ReasonNotIdempotent},
		{"40003 is repeated only because it is idempotent", yes, sqlError("40003"), 10, perdure.ReasonExhausted},
		{"40003 is never repeated otherwise", no, sqlError("40003"), 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, perdure.Config{Budget: perdure.BudgetConfig{Off: true}}, func(t managed) {
				m := t.m
				attempts := 0
				err := m.Do(t.Context(), tt.op, func(context.Context) error { attempts++; return tt.err })
				if attempts != tt.attempts {
					t.Errorf("%d attempts, want %d", attempts, tt.attempts)
				}
				if tt.reason == 0 {
					if err != tt.err { //nolint:errorlint // untouched
						t.Errorf("Do() = %v, want the error untouched", err)
					}
					return
				}
				e, ok := errors.AsType[*perdure.Error](err)
				if !ok || e.Reason != tt.reason || e.Attempts != tt.attempts || !errors.Is(err, tt.err) {
					t.Errorf("Do() = %v, want reason %s after %d attempts of %v", err, tt.reason, tt.attempts, tt.err)
				}
			})
		})
	}
}

func TestTheInnermostGuardRepeats(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		inner, outer := 0, 0
		err := m.Do(t.Context(), perdure.Op{Name: "outer", Idempotent: true}, func(ctx context.Context) error {
			outer++
			return m.Do(ctx, perdure.Op{Name: "inner", Idempotent: true}, func(context.Context) error {
				inner++
				return perdure.Transient(errOwn)
			})
		})
		if inner != 3 || outer != 1 {
			t.Errorf("inner ran %d times and outer %d, want 3 and 1 (%v)", inner, outer, err)
		}
		if e, _ := errors.AsType[*perdure.Error](err); e.Op != "inner" {
			t.Errorf("the error is that of %s, want inner", e.Op)
		}
	})
}

func TestTwoManagersRepeatIndependently(t *testing.T) {
	bubble(t, perdure.Config{Name: "one"}, func(t managed) {
		one := t.m
		two := newManager(t, perdure.Config{Name: "two", Classify: func(error) (pgerr.Verdict, bool) {
			return pgerr.Verdict{Category: pgerr.CategoryTransient, Retry: pgerr.RetryStatement}, true
		}})
		outer := 0
		_ = two.Do(t.Context(), idempotent, func(ctx context.Context) error {
			outer++
			return one.Do(ctx, idempotent, func(context.Context) error { return perdure.Transient(errOwn) })
		})
		if outer != 3 {
			t.Errorf("the other database's Manager made %d attempts, want 3", outer)
		}
		if err := two.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestNothingRepeatsOrParksInATransaction(t *testing.T) {
	bubble(t, perdure.Config{Policy: perdure.Policy{Park: time.Hour}}, func(t managed) {
		m := t.m
		ctx := m.WithTransaction(t.Context())
		start := time.Now()
		attempts := 0
		err := m.Do(ctx, idempotent, func(context.Context) error { attempts++; return sqlError("40001") })
		if attempts != 1 || err != sqlError("40001") { //nolint:errorlint // untouched
			t.Errorf("%d attempts and %v, want one and the error untouched", attempts, err)
		}
		op := perdure.Op{Name: "tx.read", ReadOnly: true}
		_ = m.Do(ctx, op, succeed)
		m.Breaker(op.Name).HoldOpen("test")
		if err := m.Do(ctx, op, succeed); !errors.Is(err, perdure.ErrBreakerOpen) {
			t.Errorf("Do() = %v, want breaker open", err)
		}
		m.Breaker("database").Trip("test")
		if err := m.Do(ctx, idempotent, succeed); err != nil {
			t.Errorf("inside a transaction that holds its connection: %v, want it let through", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %s, want no wait", d)
		}
	})
}

func TestNestedCallsShareTheHalfOpenPermit(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		m.Breaker("database").Trip("test")
		sleep(t.Context(), 2*time.Second) // no prober: half-open by time
		err := m.Do(t.Context(), perdure.Op{Name: "outer"}, func(ctx context.Context) error {
			return m.Do(ctx, perdure.Op{Name: "inner"}, succeed)
		})
		if err != nil {
			t.Errorf("Do() = %v, want the inner call to pass with the outer's permit", err)
		}
	})
}

func TestAttemptTimeoutIsEvidenceAndRepeats(t *testing.T) {
	op := perdure.Op{Name: "test.slow", ReadOnly: true, Policy: &perdure.Policy{AttemptTimeout: time.Second, Backoff: noDelay}}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		attempts := 0
		err := m.Do(t.Context(), op, func(ctx context.Context) error {
			if attempts++; attempts == 2 {
				return nil
			}
			<-ctx.Done()
			return fmt.Errorf("reading: %w", ctx.Err())
		})
		if err != nil || attempts != 2 {
			t.Errorf("%d attempts and %v, want success at the second", attempts, err)
		}
		if n := m.Breaker(op.Name).Failures(); n != 1 {
			t.Errorf("failures of the operation: %d, want 1", n)
		}
	})
}

func TestAShortDeadlineSaysNothingAboutTheOperation(t *testing.T) {
	op := perdure.Op{Name: "test.usual", ReadOnly: true}
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		work := func(ctx context.Context) error { sleep(ctx, 100*time.Millisecond); return ctx.Err() }
		for range 50 {
			if err := m.Do(t.Context(), op, work); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			deadline time.Duration
			failures uint64
		}{{10 * time.Millisecond, 0}, {time.Second, 1}} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
			err := m.Do(ctx, op, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Do() = %v, want deadline exceeded", err)
			}
			if n := m.Breaker(op.Name).Failures(); n != tt.failures {
				t.Errorf("after a deadline of %s: %d failures, want %d", tt.deadline, n, tt.failures)
			}
		}
	})
}

// The end of the caller's context explains only an error that may come of it.
func TestAnErrorOfItsOwnIsNotTheDeadlines(t *testing.T) {
	var last perdure.CallEvent
	cfg := perdure.Config{
		Classify: func(err error) (pgerr.Verdict, bool) { return pgerr.Verdict{}, true }, // of nothing anything is known
		Hooks:    perdure.Hooks{CallEnd: func(_ context.Context, e perdure.CallEvent) { last = e }},
	}
	bubble(t, cfg, func(t managed) {
		for _, tt := range []struct {
			err  error
			want pgerr.Category
		}{
			{errOwn, pgerr.CategoryUnknown},
			{fmt.Errorf("reading: %w", context.DeadlineExceeded), pgerr.CategoryTimeout},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := t.m.Do(ctx, readOnly, func(ctx context.Context) error { <-ctx.Done(); return tt.err })
			cancel()
			if !errors.Is(err, tt.err) || last.Verdict.Category != tt.want {
				t.Errorf("Do() = %v with category %s, want the error as it is and %s", err, last.Verdict.Category, tt.want)
			}
		}
	})
}

func TestAnEndedContextRunsNothing(t *testing.T) {
	m := newManager(t, perdure.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOwn)
	err := m.Do(ctx, readOnly, func(context.Context) error { t.Error("it ran"); return nil })
	if !errors.Is(err, errOwn) {
		t.Errorf("Do() = %v, want the cause", err)
	}
}

func TestMaxElapsedEndsRepeats(t *testing.T) {
	op := perdure.Op{Name: "test.elapsed", ReadOnly: true, Policy: &perdure.Policy{MaxAttempts: -1, MaxElapsed: 10 * time.Second}}
	bubble(t, perdure.Config{Budget: perdure.BudgetConfig{Off: true}}, func(t managed) {
		m := t.m
		start := time.Now()
		err := m.Do(t.Context(), op, func(context.Context) error { return perdure.RetryAfter(errOwn, 3*time.Second) })
		e, ok := errors.AsType[*perdure.Error](err)
		if d := time.Since(start); !ok || e.Reason != perdure.ReasonElapsed || d > 10*time.Second || e.Attempts < 3 {
			t.Errorf("Do() = %v after %s, want reason elapsed within 10s", err, d)
		}
	})
}

func TestTheBudgetEndsRepeats(t *testing.T) {
	var spent []perdure.BudgetEvent
	hooks := perdure.Hooks{BudgetSpent: func(_ context.Context, e perdure.BudgetEvent) { spent = append(spent, e) }}
	op := perdure.Op{Name: "test.budget", ReadOnly: true, Policy: &perdure.Policy{Backoff: noDelay, Breaker: breaker.Config{Rule: breaker.Off}}}
	bubble(t, perdure.Config{Hooks: hooks, Budget: perdure.BudgetConfig{Floor: -1}}, func(t managed) {
		m := t.m
		m.Breaker("database").HoldClosed("test")
		err := m.Do(t.Context(), op, func(context.Context) error { return io.ErrUnexpectedEOF })
		if !errors.Is(err, perdure.ErrBudgetSpent) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Do() = %v, want budget spent with the last error", err)
		}
		if len(spent) != 1 || spent[0].Price != 14 || spent[0].Waits {
			t.Errorf("told: %+v, want one refusal at price 14", spent)
		}
	})
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  perdure.Error
		want string
	}{
		{
			"as documented",
			perdure.Error{Op: "features.load", Attempts: 4, Elapsed: 3214 * time.Millisecond, Reason: perdure.ReasonExhausted, Err: syscall.ECONNREFUSED},
			"features.load: 4 attempts in 3.21s: connection refused",
		},
		{
			"a message that may hold data is not shown",
			perdure.Error{Op: "x", Attempts: 1, Elapsed: time.Millisecond, Verdict: pgerr.Verdict{SQLState: "22P02"}, Err: fmt.Errorf("%w: \"secret\"", sqlError("22P02"))},
			"x: 1 attempt in 1ms: invalid_text_representation (SQLSTATE 22P02)",
		},
		{
			"nor is one of which no field says who wrote it",
			perdure.Error{Op: "x", Attempts: 1, Elapsed: time.Second, Verdict: pgerr.Verdict{SQLState: "40P01"}, Err: sqlError("40P01")},
			"x: 1 attempt in 1s: deadlock_detected (SQLSTATE 40P01)",
		},
		{
			"the words of a program's own error are",
			perdure.Error{
				Op: "x", Attempts: 2, Elapsed: time.Second,
				Err: fmt.Errorf("charging customer 4711: %w", errors.New(`the bank doesn't answer for "ada@example.com" (ref 17): try later`)),
			},
			"x: 2 attempts in 1s: charging customer [redacted]: the bank doesn't answer for [redacted] (ref [redacted]: try later",
		},
		{
			"a refusal",
			perdure.Error{Op: "x", Reason: perdure.ReasonBreakerOpen, Err: perdure.ErrBreakerOpen},
			"x: circuit breaker open",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMarksOfErrors(t *testing.T) {
	if err := errors.Join(perdure.Transient(nil), perdure.RetryAfter(nil, time.Second)); err != nil {
		t.Errorf("the mark of no error = %v, want nil", err)
	}
	marked := perdure.RetryAfter(errOwn, time.Second)
	if marked.Error() != errOwn.Error() || !errors.Is(marked, errOwn) {
		t.Errorf("the marked error is %q, want that of %q", marked, errOwn)
	}
}

func TestTheTextNamesWhatEndedTheCall(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		op := perdure.Op{Name: "text", Idempotent: true}
		err := t.m.Do(ctx, op, func(context.Context) error { return perdure.RetryAfter(errOwn, time.Minute) })
		if want := "text: 1 attempt in 0s: context deadline exceeded: own"; err == nil || err.Error() != want {
			t.Errorf("Do() = %q, want %q", err, want)
		}
	})
}

func TestCallsUnderBadNamesAreRefused(t *testing.T) {
	m := newManager(t, perdure.Config{})
	for _, name := range []string{"", "a b", "ü", strings.Repeat("x", 101), "database", "other", "a\x00"} {
		err := m.Do(t.Context(), perdure.Op{Name: name}, func(context.Context) error { t.Error("it ran"); return nil })
		if err == nil || !strings.Contains(err.Error(), "operation name") {
			t.Errorf("Do(%q) = %v, want an error about the name", name, err)
		}
	}
	err := m.Do(t.Context(), perdure.Op{Name: "x", Policy: &perdure.Policy{RetryOn: []pgerr.Category{200}}}, succeed)
	if err == nil || !strings.Contains(err.Error(), "operation x: policy: retry_on[0]") {
		t.Errorf("Do() with a bad policy = %v, want an error with its path", err)
	}
	var none *perdure.Manager
	if err := none.Do(t.Context(), readOnly, succeed); err == nil || !strings.Contains(err.Error(), "perdure.New") {
		t.Errorf("Do() on a nil Manager = %v", err)
	}
}

func TestHooksTellTheWholeStory(t *testing.T) {
	var story []string
	say := func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) }
	hooks := perdure.Hooks{
		AttemptEnd: func(_ context.Context, e perdure.AttemptEvent) { say("attempt %d: %v", e.Attempt, e.Err) },
		CallEnd: func(_ context.Context, e perdure.CallEvent) {
			say("call: %d attempts, %q, id %q", e.Attempts, e.Reason, e.CorrelationID)
		},
	}
	both := perdure.JoinHooks(hooks, perdure.Hooks{CallEnd: func(context.Context, perdure.CallEvent) { say("and again") }})
	op := perdure.Op{Name: "test.story", ReadOnly: true, Policy: &perdure.Policy{Contention: noDelay}}
	m := newManager(t, perdure.Config{Hooks: both})
	ctx := perdure.WithCorrelationID(t.Context(), "req-7")
	attempts := 0
	if err := m.Do(ctx, op, func(context.Context) error {
		if attempts++; attempts == 1 {
			return sqlError("40001")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"attempt 1: server says 40001", "attempt 2: <nil>", `call: 2 attempts, "", id "req-7"`, "and again"}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
	remove := m.AddHooks(perdure.Hooks{CallEnd: func(context.Context, perdure.CallEvent) { say("added") }})
	story = nil
	_ = m.Do(ctx, op, succeed)
	remove()
	_ = m.Do(ctx, op, succeed)
	if n := strings.Count(strings.Join(story, ";"), "added"); n != 1 {
		t.Errorf("an added hook ran %d times in two calls, of which it was there for one", n)
	}
}

func TestACorrelationIDIsMadeWhenACallFails(t *testing.T) {
	bubble(t, perdure.Config{}, func(t managed) {
		m := t.m
		seen := map[string]bool{}
		for range 100 {
			err := m.Do(t.Context(), once, func(context.Context) error { return sqlError("40001") })
			e, ok := errors.AsType[*perdure.Error](err)
			if !ok || len(e.CorrelationID) != 32 || seen[e.CorrelationID] {
				t.Fatalf("correlation id of %v: want 32 characters, never twice", err)
			}
			seen[e.CorrelationID] = true
		}
	})
}

func TestCloseStopsAdmissionAndWaitsForOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, perdure.Config{})
		end, err := m.BeginOutcome()
		if err != nil {
			t.Fatal(err)
		}
		m.Breaker("database").HoldOpen("test")
		parked := make(chan error, 1)
		go func() {
			parked <- m.Do(t.Context(), perdure.Op{Name: "test.parked", Policy: &perdure.Policy{Park: time.Hour}}, succeed)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close() with an outcome open = %v, want deadline exceeded", err)
		}
		if err := <-parked; !errors.Is(err, perdure.ErrClosed) {
			t.Errorf("the parked call returned %v, want ErrClosed", err)
		}
		if err := m.Do(t.Context(), readOnly, succeed); !errors.Is(err, perdure.ErrClosed) {
			t.Errorf("Do() after Close = %v, want ErrClosed", err)
		}
		end()
		end()
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if _, err := m.BeginOutcome(); !errors.Is(err, perdure.ErrClosed) {
			t.Errorf("BeginOutcome() after Close = %v, want ErrClosed", err)
		}
	})
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, perdure.Config{})
		asked, answer := make(chan struct{}), make(chan struct{})
		if _, err := m.SetProbe(func(context.Context) error { close(asked); <-answer; return nil }); err != nil {
			t.Fatal(err)
		}
		m.Breaker("database").Trip("test")
		<-asked // by a probe that does not heed its context
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errOwn)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, errOwn) {
			t.Errorf("Close() = %v, want the cause of its context", err)
		}
		close(answer)
		if err := m.Close(t.Context()); err != nil {
			t.Errorf("Close() again = %v", err)
		}
	})
}

func TestFirstTrySuccessAllocatesNothing(t *testing.T) {
	m := newManager(t, perdure.Config{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _ = m.Do(ctx, readOnly, succeed) }); n != 0 {
		t.Errorf("Do: %v allocations, want 0", n)
	}
	get := func(context.Context) (int, error) { return 7, nil }
	if n := testing.AllocsPerRun(1000, func() { _, _ = perdure.Get(ctx, m, readOnly, get) }); n != 0 {
		t.Errorf("Get: %v allocations, want 0", n)
	}
	m.Breaker(readOnly.Name).HoldOpen("test")
	_ = m.Do(ctx, readOnly, succeed)
	if n := testing.AllocsPerRun(1000, func() { _ = m.Do(ctx, readOnly, succeed) }); n != 0 {
		t.Errorf("a rejection by the operation's breaker: %v allocations, want 0", n)
	}
	m.Breaker("database").HoldOpen("test")
	_ = m.Do(ctx, readOnly, succeed)
	if n := testing.AllocsPerRun(1000, func() { _ = m.Do(ctx, readOnly, succeed) }); n != 0 {
		t.Errorf("a rejection by the database's breaker: %v allocations, want 0", n)
	}
}

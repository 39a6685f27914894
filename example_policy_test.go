package perdure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// Policies are data. For a field the first that sets it counts: the Op's, that
// of the name or of its longest prefix, the common one, the default.
func ExamplePolicy() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{
		Policy:   perdure.Policy{MaxAttempts: 5},
		Policies: map[string]perdure.Policy{"stats.*": {Backoff: backoff.Config{Initial: time.Millisecond, Max: 5 * time.Millisecond}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	once := perdure.Op{Name: "stats.once", Idempotent: true, Policy: &perdure.Policy{MaxAttempts: 1}}
	for _, op := range []perdure.Op{refresh, once} {
		err = m.Do(ctx, op, func(context.Context) error { return perdure.Transient(errors.New("not yet")) })
		e, _ := errors.AsType[*perdure.Error](err)
		fmt.Println(e.Op, e.Attempts, e.Reason)
	}
	// Output:
	// stats.refresh 5 exhausted
	// stats.once 1 exhausted
}

// Every fault of a configuration is named, with its path.
func ExampleConfig_Validate() {
	err := perdure.Config{
		Policies: map[string]perdure.Policy{"stats.*": {Backoff: backoff.Config{Initial: 50 * time.Millisecond, Max: 10 * time.Millisecond}}},
		Budget:   perdure.BudgetConfig{Ratio: 3},
	}.Validate()
	fmt.Println(err)
	// Output:
	// budget.ratio: 3 is not between 0 and 1
	// policies["stats.*"].backoff.max: 10ms is less than initial 50ms
}

// A program says what its own errors mean. Without a verdict an error is not
// repeated: nothing is guessed.
func ExampleConfig_classify() {
	ctx := context.Background()
	errBusy := errors.New("the importer is busy")
	m, err := perdure.New(perdure.Config{Classify: func(err error) (pgerr.Verdict, bool) {
		if errors.Is(err, errBusy) {
			return pgerr.Verdict{Category: pgerr.CategoryTransient, Retry: pgerr.RetryStatement, Effect: pgerr.EffectNone}, true
		}
		return pgerr.Verdict{}, false // ask perdure
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	attempts := 0
	err = m.Do(ctx, refresh, func(context.Context) error {
		if attempts++; attempts == 1 {
			return errBusy
		}
		return nil
	})
	fmt.Println(attempts, err)
	// Output: 2 <nil>
}

// RetryAfter is for work that knows when another try makes sense.
func ExampleRetryAfter() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	began, attempts := time.Now(), 0
	err = m.Do(ctx, refresh, func(context.Context) error {
		if attempts++; attempts == 1 {
			return perdure.RetryAfter(errors.New("locked for maintenance"), 30*time.Millisecond)
		}
		return nil
	})
	fmt.Println(attempts, err, time.Since(began) >= 30*time.Millisecond)
	// Output: 2 <nil> true
}

// Batch work waits for a database that is away, instead of burning its attempts.
func ExamplePolicy_park() {
	ctx := context.Background()
	var m *perdure.Manager
	m, err := perdure.New(perdure.Config{
		Policy: perdure.Policy{Park: 10 * time.Minute},
		Hooks: perdure.Hooks{
			Parked: func(_ context.Context, e perdure.ParkEvent) {
				fmt.Println(e.Op, "waits for", e.For)
				m.Breaker("database").Release() // the maintenance is over
			},
			Released: func(_ context.Context, e perdure.ParkEvent) { fmt.Println(e.Op, "goes on") },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	m.Breaker("database").HoldOpen("upgrade to 18")
	attempts := 0
	err = m.Do(ctx, refresh, func(context.Context) error { attempts++; return nil })
	fmt.Println(attempts, "attempt,", err)
	// Output:
	// stats.refresh waits for database
	// stats.refresh goes on
	// 1 attempt, <nil>
}

// Repeats of all operations are paid from one budget, so that they cannot keep
// a server down that is already in trouble.
func ExampleBudgetConfig() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{
		Budget: perdure.BudgetConfig{Floor: -1}, // no repeats but those that successes have paid for
		Policy: perdure.Policy{Backoff: backoff.Config{Initial: time.Millisecond}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	err = m.Do(ctx, refresh, func(context.Context) error { return io.ErrUnexpectedEOF })
	e, _ := errors.AsType[*perdure.Error](err)
	fmt.Println(e.Attempts, e.Reason, errors.Is(err, perdure.ErrBudgetSpent), errors.Is(err, io.ErrUnexpectedEOF))
	// Output: 1 budget true true
}

// A process that restarts does not forget that the database was held open a
// second ago, nor what healthy looks like.
func ExampleManager_Save() {
	ctx := context.Background()
	before, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	before.Breaker("database").HoldOpen("upgrade to 18")
	var file bytes.Buffer
	if err := errors.Join(before.Save(&file), before.Close(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	after, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer after.Close(ctx)
	if err := after.Restore(&file); err != nil {
		fmt.Println(err)
		return
	}
	s := after.Breaker("database").Snapshot()
	fmt.Println(s.State == breaker.Open, s.Reason)
	// Output: true upgrade to 18
}

// A correlation ID is on every event, log line, span, audit record and error of
// the calls under it.
func ExampleWithCorrelationID() {
	m, err := perdure.New(perdure.Config{Hooks: perdure.Hooks{
		AttemptEnd: func(_ context.Context, e perdure.AttemptEvent) { fmt.Println("event:", e.CorrelationID) },
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := perdure.WithCorrelationID(context.Background(), "request-7")
	defer m.Close(ctx)
	err = m.Do(ctx, perdure.Op{Name: "orders.insert"}, func(context.Context) error { return io.ErrUnexpectedEOF })
	e, _ := errors.AsType[*perdure.Error](err)
	fmt.Println("error:", e.CorrelationID)
	// Output:
	// event: request-7
	// error: request-7
}

// Everything countable, without a metrics library.
func ExampleManager_Snapshot() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{Backoff: backoff.Config{Initial: time.Millisecond}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	attempts := 0
	_ = m.Do(ctx, refresh, func(context.Context) error {
		if attempts++; attempts == 1 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	s := m.Snapshot()
	o := s.Operations[0]
	fmt.Println(o.Name, "succeeded:", o.Succeeded, "recovered:", o.Recovered, "rate:", o.SuccessRate, "database:", s.Database.State)
	// Output: stats.refresh succeeded: 1 recovered: 1 rate: 1 database: closed
}

// The prober decides whether the database is there; an adapter attaches its own.
func ExampleManager_SetProbe() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	asked := make(chan struct{})
	remove, err := m.SetProbe(func(context.Context) error { close(asked); return nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer remove()
	m.Suspect("a deploy has just ended") // evidence asks, too
	<-asked
	fmt.Println(m.Breaker("database").State()) // the answer was good
	// Output: closed
}

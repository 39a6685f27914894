package perduretest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/pgerr"
)

// readOnly: the server enforces that an op changes nothing.
func readOnly(t *testing.T, b *bench) {
	t.Helper()
	runs := 0
	err := b.InTx(t.Context(), perdure.Op{Name: "perduretest.readonly", ReadOnly: true}, func(ctx context.Context, tx Tx) error {
		runs++
		return b.insert(1)(ctx, tx)
	})
	if v := pgerr.Classify(err); v.SQLState != "25006" || runs != 1 {
		t.Errorf("InTx = %v after %d runs, want 25006 after 1", err, runs)
	}
	if n := b.rows(t, 1); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// nested: a transaction in a transaction is an error, and harms neither.
func nested(t *testing.T, b *bench) {
	t.Helper()
	var inner, once error
	err := b.InTx(t.Context(), op("outer"), func(ctx context.Context, tx Tx) error {
		inner = b.InTx(ctx, op("inner"), b.insert(2))
		_, once = b.Once(ctx, op("inner"), b.name, func(context.Context, Tx) (int64, error) { return 0, nil })
		return b.insert(1)(ctx, tx)
	})
	if err != nil || inner == nil || once == nil {
		t.Errorf("InTx = %v, want nil; inside it InTx = %v and Once = %v, want errors", err, inner, once)
	}
	if one, two := b.rows(t, 1), b.rows(t, 2); one != 1 || two != 0 {
		t.Errorf("%d rows of the outer and %d of the inner, want 1 and 0", one, two)
	}
}

// untouched: what the function returns rolls back and comes back as it is.
func untouched(t *testing.T, b *bench) {
	t.Helper()
	mine := errors.New("mine")
	err := b.InTx(t.Context(), op("error"), func(ctx context.Context, tx Tx) error {
		return errors.Join(b.insert(1)(ctx, tx), mine)
	})
	if !errors.Is(err, mine) {
		t.Errorf("InTx = %v, want the function's error", err)
	}
	if _, wrapped := errors.AsType[*perdure.Error](err); wrapped {
		t.Errorf("InTx = %v, want it untouched", err)
	}
	if n := b.rows(t, 1); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// panics: a panic rolls back, goes on up, and leaves nothing open.
func panics(t *testing.T, b *bench) {
	t.Helper()
	func() {
		defer func() {
			if _, ok := recover().(runtime.Error); !ok {
				t.Error("the function's panic did not go on up")
			}
		}()
		var none []error
		_ = b.InTx(t.Context(), op("panic"), func(ctx context.Context, tx Tx) error {
			if err := b.insert(1)(ctx, tx); err != nil {
				t.Error(err)
			}
			return none[1] // a panic, which is what is tested
		})
	}()
	if n := b.rows(t, 1); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	if err := b.InTx(t.Context(), op("panic"), b.insert(2)); err != nil {
		t.Errorf("InTx after a panic = %v, want nil", err)
	}
	// A lock that the panic had left would make this wait.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.check.InTx(ctx, op("lock"), func(ctx context.Context, tx Tx) error {
		return tx.Exec(ctx, "lock table "+b.name+" in access exclusive mode")
	}); err != nil {
		t.Errorf("locking the table after a panic = %v, want nil", err)
	}
}

// cancelled: the caller's own cancel rolls back and is not repeated.
func cancelled(t *testing.T, b *bench) {
	t.Helper()
	mine := errors.New("mine")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	runs := 0
	err := b.InTx(ctx, op("cancel"), func(ctx context.Context, tx Tx) error {
		runs++
		if err := b.insert(1)(ctx, tx); err != nil {
			return err
		}
		cancel(mine)
		return tx.Exec(ctx, "select pg_sleep(60)")
	})
	if !errors.Is(err, mine) || runs != 1 {
		t.Errorf("InTx = %v after %d runs, want the cause after 1", err, runs)
	}
	if n := b.rows(t, 1); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	if err := b.Exec(ctx, b.insertSQL(1)); !errors.Is(err, mine) && !errors.Is(err, context.Canceled) { // database/sql knows no cause
		t.Errorf("Exec under an ended context = %v, want the cause, or context.Canceled", err)
	}
	if n := b.rows(t, 1); n != 0 {
		t.Errorf("%d rows of Exec under an ended context, want none", n)
	}
}

// timeLimit: an attempt that takes too long is stopped and repeated, also when
// nothing answers.
func timeLimit(t *testing.T, b *bench) {
	t.Helper()
	limited := perdure.Op{Name: "perduretest.limit", Policy: &perdure.Policy{AttemptTimeout: time.Second}}
	runs := 0
	err := b.InTx(t.Context(), limited, func(ctx context.Context, tx Tx) error {
		if runs++; runs == 1 {
			return errors.Join(b.insert(1)(ctx, tx), tx.Exec(ctx, "select pg_sleep(60)"))
		}
		return b.insert(1)(ctx, tx)
	})
	if n := b.rows(t, 1); err != nil || runs != 2 || n != 1 {
		t.Errorf("InTx = %v after %d runs with %d rows, want nil after 2 with 1", err, runs, n)
	}
	rule := b.fault(t, faultproxy.Rule{
		Name: "silence", Count: 1, Action: faultproxy.BlackHole, Side: faultproxy.ServerSide,
		Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.HasPrefix("insert")},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.InTx(ctx, limited, b.insert(2)); err != nil || rule.Hits() != 1 {
		t.Errorf("InTx over a silent connection = %v after %d faults, want nil after 1", err, rule.Hits())
	}
	if n := b.rows(t, 2); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// halfOpen: an attempt whose connection leads nowhere any more does not keep its
// own repeat waiting for its locks.
func halfOpen(t *testing.T, b *bench) {
	t.Helper()
	b.must(t, b.insertSQL(1))
	limited := perdure.Op{Name: "perduretest.halfopen", Policy: &perdure.Policy{AttemptTimeout: 2 * time.Second}}
	rule := b.fault(t, faultproxy.Rule{
		Name: "half open", Count: 1, Action: faultproxy.BlackHole, Side: faultproxy.Both,
		Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.Contains("'half open'")},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	runs := 0
	err := b.InTx(ctx, limited, func(ctx context.Context, tx Tx) error {
		runs++
		if err := tx.Exec(ctx, "update "+b.name+" set id = id + 1"); err != nil {
			return err
		}
		return tx.Exec(ctx, "select 'half open'")
	})
	if n := b.rows(t, 2); err != nil || n != 1 || rule.Hits() != 1 {
		t.Errorf("InTx = %v after %d runs and %d faults with %d rows, want nil after 1 fault with 1", err, runs, rule.Hits(), n)
	}
	if runs > 3 {
		t.Errorf("%d runs: the first one's locks stood in the way", runs)
	}
}

// parking: calls wait while the server cannot be reached, and then go on; what
// waits loses no attempt.
func parking(t *testing.T, b *bench) {
	t.Helper()
	const callers = 8
	parked := 0
	up := sync.OnceFunc(func() { b.proxy.Refuse(false) })
	b.mu.Lock()
	b.onPark = func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if parked++; parked == callers/2 {
			up()
		}
	}
	b.mu.Unlock()
	b.proxy.Refuse(true)
	b.proxy.CutAll(faultproxy.RST)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	for id := range callers {
		all.Go(func() {
			if err := b.InTx(ctx, op("park"), b.insert(id)); err != nil {
				t.Errorf("InTx = %v, want nil once the server is back", err)
			}
		})
	}
	all.Wait()
	for id := range callers {
		if n := b.rows(t, id); n != 1 {
			t.Errorf("%d rows of %d, want 1", n, id)
		}
	}
}

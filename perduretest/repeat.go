package perduretest

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
)

// flaky makes a function that is refused as a serialization failure until its
// third call.
func (b *bench) flaky(tb testing.TB) (call string) {
	tb.Helper()
	b.must(tb, "create function "+b.name+"_f() returns bigint language plpgsql as $$ begin "+
		"if nextval('"+b.name+"_seq') < 3 then raise exception using errcode = '40001'; end if; return 7; end $$")
	tb.Cleanup(func() { _ = b.check.Exec(context.WithoutCancel(tb.Context()), "drop function "+b.name+"_f()") })
	return "select " + b.name + "_f()"
}

// calls returns how often the function of flaky was called, and begins anew.
func (b *bench) calls(tb testing.TB) int64 {
	tb.Helper()
	n := b.number(tb, "select last_value from "+b.name+"_seq")
	b.must(tb, "alter sequence "+b.name+"_seq restart")
	return n
}

// refusedStatement: what the server refused is repeated, whatever the op.
func refusedStatement(t *testing.T, b *bench) {
	t.Helper()
	call := b.flaky(t)
	if err := b.Exec(t.Context(), call); err != nil {
		t.Errorf("Exec = %v, want nil after two refusals", err)
	}
	if n := b.calls(t); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	if n, err := b.Int(t.Context(), call); err != nil || n != 7 {
		t.Errorf("Int = %d, %v, want 7 after two refusals", n, err)
	}
	if n := b.calls(t); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

// refusedTransaction: a transaction that was rolled back is repeated as a whole,
// its function included.
func refusedTransaction(t *testing.T, b *bench) {
	t.Helper()
	call := b.flaky(t)
	runs := 0
	err := b.InTx(t.Context(), op("refused"), func(ctx context.Context, tx Tx) error {
		runs++
		if err := b.insert(1)(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Int(ctx, call)
		return err
	})
	if n := b.rows(t, 1); err != nil || runs != 3 || n != 1 {
		t.Errorf("InTx = %v after %d runs with %d rows, want nil after 3 with 1", err, runs, n)
	}
}

// lostStatement: a write whose reply is lost is not repeated, unless its op says
// that it may be.
func lostStatement(t *testing.T, b *bench) {
	t.Helper()
	for id, o := range []perdure.Op{op("write"), {Name: "perduretest.idempotent", Idempotent: true}} {
		rule := b.fault(t, faultproxy.Rule{
			Name: "reply " + strconv.Itoa(id), Count: 1, Action: faultproxy.FIN,
			Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.HasPrefix("INSERT")},
		})
		err := b.Exec(perdure.WithOp(t.Context(), o), b.insertSQL(id))
		n := b.rows(t, id)
		if rule.Hits() != 1 {
			t.Errorf("%s: the fault struck %d times, want once", o.Name, rule.Hits())
		}
		if o.Idempotent {
			if err != nil || n != 2 {
				t.Errorf("%s = %v with %d rows, want nil with 2", o.Name, err, n)
			}
			continue
		}
		if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonNotIdempotent || n != 1 {
			t.Errorf("%s = %v with %d rows, want not_idempotent with 1", o.Name, err, n)
		}
	}
}

// lostTransaction: a connection that breaks before COMMIT was sent costs a repeat.
func lostTransaction(t *testing.T, b *bench) {
	t.Helper()
	for id, message := range []faultproxy.Message{faultproxy.CommandComplete, faultproxy.Run} {
		match := faultproxy.Match{Message: message, Text: faultproxy.HasPrefix("INSERT")}
		rule := b.fault(t, faultproxy.Rule{Name: "cut " + strconv.Itoa(id), Count: 1, Action: faultproxy.RST, Match: match})
		if err := b.InTx(t.Context(), op("lost"), b.insert(id)); err != nil {
			t.Errorf("InTx = %v, want nil", err)
		}
		if n := b.rows(t, id); n != 1 || rule.Hits() != 1 {
			t.Errorf("%d rows after %d faults, want 1 after 1", n, rule.Hits())
		}
	}
	ended := false
	err := b.InTx(t.Context(), op("terminated"), func(ctx context.Context, tx Tx) error {
		if err := b.insert(9)(ctx, tx); err != nil {
			return err
		}
		if !ended {
			ended = true
			pid, err := tx.Int(ctx, "select pg_backend_pid()::bigint")
			if err != nil {
				return err
			}
			if _, err := b.check.Int(ctx, "select pg_terminate_backend("+strconv.FormatInt(pid, 10)+")::int::bigint"); err != nil {
				return err
			}
		}
		return tx.Exec(ctx, "select 1")
	})
	if n := b.rows(t, 9); err != nil || n != 1 {
		t.Errorf("a terminated backend: InTx = %v with %d rows, want nil with 1", err, n)
	}
}

package perduresql_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perduresql"
)

var opLoad = perdure.Op{Name: "test.load"} //nolint:gochecknoglobals // as programs declare them

func lostReply(name string) faultproxy.Rule {
	return faultproxy.Rule{
		Name: name, Count: 1, Action: faultproxy.FIN,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	}
}

// A COMMIT that is cut off before the server or after it ends in one row, and is
// success.
func TestCommitInDoubtIsResolved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		id := 0
		for _, method := range []perduresql.Outcome{perduresql.Token, perduresql.Marker} {
			if method == perduresql.Marker {
				b.migrate(t)
				b.seen.take()
			}
			for name, rule := range map[string]faultproxy.Rule{
				"reply lost":  lostReply("reply"),
				"COMMIT lost": {Name: "commit", Count: 1, Action: faultproxy.FIN, Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.Contains("; commit")}},
			} {
				for _, o := range []*sql.TxOptions{nil, {Isolation: sql.LevelSerializable}} {
					id++
					r := faultproxytest.Add(t, proxy, rule)
					err := b.InTx(t.Context(), opLoad, o, insert(id))
					if err != nil {
						t.Errorf("%v, %s, %+v: InTx = %v, want nil", method, name, o, err)
					}
					if r.Hits() != 1 {
						t.Errorf("%v, %s: the fault struck %d times", method, name, r.Hits())
					}
					r.Remove()
					if n := b.count(t, "t"); n != id {
						t.Fatalf("%v, %s: %d rows, want %d", method, name, n, id)
					}
					seen := b.seen.take()
					want := perdure.Committed
					if name == "COMMIT lost" {
						want = perdure.Aborted
					}
					if len(seen) != 1 || seen[0].Resolution != want || seen[0].Method != method.String() {
						t.Errorf("%v, %s: outcomes = %+v, want one %s", method, name, seen, want)
					}
				}
			}
		}
	})
}

// An ORM's own transaction: Commit tells what became of it.
func TestCommitOfAForeignTransactionTellsTheTruth(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		ctx := t.Context()
		run := func(id int) error {
			tx, err := b.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if err := insert(id)(ctx, tx); err != nil {
				return errors.Join(err, tx.Rollback())
			}
			return tx.Commit()
		}
		if err := run(1); err != nil {
			t.Fatalf("Commit = %v", err)
		}
		faultproxytest.Add(t, proxy, lostReply("reply"))
		if err := run(2); err != nil {
			t.Errorf("Commit with a lost reply = %v, want nil: it is committed", err)
		}
		faultproxytest.Add(t, proxy, faultproxy.Rule{
			Name: "commit", Count: 1, Action: faultproxy.FIN,
			Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.Contains("; commit")},
		})
		if err := run(3); err == nil || errors.Is(err, perdure.ErrOutcomeUnknown) {
			t.Errorf("Commit that never came = %v, want an error that is not unknown", err)
		}
		if n := b.count(t, "t"); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
		if s := b.Stats(); s.InUse != 0 {
			t.Errorf("%d connections are still in use", s.InUse)
		}
	})
}

// What was admitted goes on when the Manager is closed; a transaction that is
// rolled back, or whose context ends, leaves nothing behind.
func TestForeignTransactionsEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, _ := behind(t, through, perdure.Config{}, perduresql.Config{})
		ctx := t.Context()
		begin := func(ctx context.Context, id int) *sql.Tx {
			tx, err := b.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := insert(id)(ctx, tx); err != nil {
				t.Fatal(err)
			}
			return tx
		}
		if err := begin(ctx, 1).Rollback(); err != nil {
			t.Errorf("Rollback = %v", err)
		}
		ending, cancel := context.WithCancel(ctx)
		tx := begin(ending, 2)
		cancel()
		if err := tx.Commit(); err == nil || errors.Is(err, perdure.ErrOutcomeUnknown) {
			t.Errorf("Commit under an ended context = %v, want an error that is not unknown", err)
		}
		if _, err := b.PrepareContext(ctx, "copy t (id) from stdin"); err == nil { //nolint:sqlclosecheck // it fails
			t.Error("Prepare of a COPY = nil, want an error")
		}
		tx = begin(ctx, 3)
		if err := b.m.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("Commit after the Manager was closed = %v, want nil", err)
		}
		if _, err := b.ExecContext(ctx, "select 1"); !errors.Is(err, perdure.ErrClosed) {
			t.Errorf("Exec after the Manager was closed = %v, want ErrClosed", err)
		}
		if n := b.count(t, "t"); n != 1 {
			t.Errorf("%d rows, want that of the committed one", n)
		}
	})
}

func TestOnceIsRemembered(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		b.migrate(t)
		b.seen.take()
		ran := 0
		work := func(ctx context.Context, tx *sql.Tx) (string, error) {
			ran++
			return `it's \ "x"`, insert(ran)(ctx, tx)
		}
		faultproxytest.Add(t, proxy, lostReply("reply"))
		for range 2 {
			got, err := perduresql.Once(t.Context(), b.DB, opLoad, `key's \ 1`, work)
			if err != nil || got != `it's \ "x"` {
				t.Errorf("Once = %q, %v", got, err)
			}
		}
		if ran != 1 || b.count(t, "t") != 1 {
			t.Errorf("the work ran %d times", ran)
		}
		seen := b.seen.take()
		if len(seen) != 3 || seen[0].Resolution != perdure.Committed || seen[1].Resolution != perdure.Run || seen[2].Resolution != perdure.Remembered {
			t.Errorf("outcomes = %+v", seen)
		}
		if n, err := b.Forget(t.Context(), `key's \ 1`, "none"); n != 1 || err != nil {
			t.Errorf("Forget = %d, %v, want 1", n, err)
		}
	})
}

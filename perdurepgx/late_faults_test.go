package perdurepgx_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

// single opens a database of its own with one connection, on which every BEGIN
// that can wait does, and which has been learned.
func single(t *testing.T, method perdurepgx.Outcome, change func(*pgxpool.Config)) *bench {
	t.Helper()
	direct := server.Database(t)
	b := openAt(t, direct, direct, perdure.Config{}, perdurepgx.Config{Outcome: method}, func(c *pgxpool.Config) {
		c.MaxConns = 1
		if change != nil {
			change(c)
		}
	})
	b.exec(t, "create table t (id bigint primary key, v text)")
	if method == perdurepgx.Marker {
		b.migrate(t)
	}
	b.SetLateWithin(time.Hour)
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select $1::int", 1)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// undescribed makes the driver believe that describing a statement has failed,
// as after a statement_timeout between its Parse and its Describe: it closes it
// before it prepares another one, and does not read what follows an error of that.
func undescribed(conn *pgx.Conn) {
	f := reflect.ValueOf(conn).Elem().FieldByName("failedDescribeStatement")
	*(*string)(unsafe.Pointer(f.UnsafeAddr())) = "nosuch" // no real failure can be timed so
}

// A BEGIN that is refused within the driver's own clean-up stops whatever comes
// after it: the driver itself does not close the connection then.
func TestARefusedBeginStopsTheConnection(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]func(context.Context, pgx.Tx) error{
		"simple": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "insert into t values (2)")
			return err
		},
		"extended": insert(2),
		"a batch": func(ctx context.Context, tx pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue("insert into t values (2)")
			return tx.SendBatch(ctx, b).Close()
		},
		"past the Tx": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Conn().Exec(ctx, "insert into t values (2)")
			return err
		},
		"large objects": func(ctx context.Context, tx pgx.Tx) error {
			los := tx.LargeObjects()
			_, err := los.Create(ctx, 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var held *pgx.Conn
			b := single(t, perdurepgx.Token, func(c *pgxpool.Config) {
				c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { held = conn; return nil }
			})
			undescribed(held)
			refused := held
			err := b.InTx(t.Context(), opLoad, pgx.TxOptions{IsoLevel: "what level"}, func(ctx context.Context, tx pgx.Tx) error {
				if err := insert(1)(ctx, tx); err == nil {
					t.Error("a statement without its BEGIN succeeded")
				}
				if err := second(ctx, tx); err == nil {
					t.Error("the statement after it succeeded")
				}
				return nil
			})
			if rows, objects := b.count(t, "t"), b.count(t, "pg_largeobject_metadata"); !isState(err, "42601") || rows+objects != 0 {
				t.Errorf("InTx = %v with %d rows and %d large objects, want a syntax error and nothing done", err, rows, objects)
			}
			if !refused.IsClosed() {
				t.Error("the connection whose BEGIN was refused is still open")
			}
		})
	}
}

// A refusal of what goes with BEGIN leaves no aborted transaction in the pool.
func TestARefusedQuestionLeavesNoTransaction(t *testing.T) {
	t.Parallel()
	var held *pgx.Conn
	b := single(t, perdurepgx.Token, func(c *pgxpool.Config) {
		c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { held = conn; return nil }
	})
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "do $$ begin execute 'deallocate all'; end $$") // the question is not prepared any more, and nobody saw it
		return err
	}); err != nil {
		t.Fatal(err)
	}
	undescribed(held)
	pid := held.PgConn().PID()
	once := perdure.Op{Name: "test.once", Policy: &perdure.Policy{MaxAttempts: 1}}
	if err := b.InTx(t.Context(), once, pgx.TxOptions{}, insert(1)); !isState(err, "26000") || b.count(t, "t") != 0 {
		t.Errorf("InTx = %v with %d rows, want 26000 and none", err, b.count(t, "t"))
	}
	eventually(t, 30*time.Second, "the transaction ends", func() bool {
		var there bool
		const aborted = "select exists (select from pg_stat_activity where pid = $1 and state like 'idle in transaction%')"
		if err := b.check.QueryRow(t.Context(), aborted, pid).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return !there
	})
	if _, err := b.Pool().Exec(t.Context(), "insert into t (id) values (3)"); err != nil {
		t.Errorf("the next user of the pool got %v", err)
	}
}

// halves puts a notification behind what is read next, cut in two.
type halves struct {
	net.Conn

	armed *atomic.Bool
	rest  []byte
}

func (h *halves) Read(p []byte) (int, error) {
	if len(h.rest) > 0 {
		n := copy(p, h.rest)
		h.rest = h.rest[n:]
		return n, nil
	}
	n, err := h.Conn.Read(p)
	const whole, half = 64, 12
	if err == nil && len(p)-n > whole && h.armed.CompareAndSwap(true, false) {
		note, _ := (&pgproto3.NotificationResponse{PID: 7, Channel: "chan", Payload: "hello"}).Encode(nil)
		n += copy(p[n:], note[:half])
		h.rest = note[half:]
	}
	return n, err
}

// A message that the driver has read half of is no beginning of the answer to
// BEGIN.
func TestABeginDoesNotWaitAmidAMessage(t *testing.T) {
	t.Parallel()
	var armed, on atomic.Bool
	b := single(t, perdurepgx.Token, func(c *pgxpool.Config) {
		dial := (&net.Dialer{}).DialContext
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &halves{Conn: conn, armed: &armed}, err
		}
		c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
			armed.Store(on.Load())
			_, err := conn.Exec(ctx, "set application_name = 'tenant'")
			return err == nil, nil
		}
	})
	on.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // it would wait for ever
	defer cancel()
	if err := b.InTx(ctx, opLoad, pgx.TxOptions{}, insert(1)); err != nil || b.count(t, "t") != 1 || armed.Load() {
		t.Errorf("InTx = %v with %d rows; the notification is still to come: %v", err, b.count(t, "t"), armed.Load())
	}
}

// A handle whose transaction has ended has no part in the next one.
func TestAnOldHandleIsClosed(t *testing.T) {
	t.Parallel()
	b := single(t, perdurepgx.Token, nil)
	var old pgx.Tx
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(ctx context.Context, tx pgx.Tx) error {
		old = tx
		if _, err := tx.Exec(ctx, "select $1::int", 1); err != nil {
			return err
		}
		return tx.Rollback(ctx)
	})
	if !errors.Is(err, pgx.ErrTxClosed) {
		t.Errorf("InTx = %v, want %v", err, pgx.ErrTxClosed)
	}
	runs := 0
	err = b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		runs++
		if err := old.SendBatch(ctx, &pgx.Batch{}).Close(); !errors.Is(err, pgx.ErrTxClosed) {
			t.Errorf("SendBatch of the old handle = %v, want %v", err, pgx.ErrTxClosed)
		}
		old.Conn()
		return insert(1)(ctx, tx)
	})
	if err != nil || runs != 1 || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v after %d runs with %d rows, want one of each", err, runs, b.count(t, "t"))
	}
}

// The end of a statement's own context is not that of the transaction.
func TestAStatementsContextIsNotTheTransactions(t *testing.T) {
	t.Parallel()
	for _, within := range []time.Duration{0, time.Hour} {
		b := single(t, perdurepgx.Token, nil)
		b.SetLateWithin(within)
		runs := 0
		err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			runs++
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := tx.Exec(gone, "select 1"); !errors.Is(err, context.Canceled) {
				t.Errorf("Exec = %v, want %v", err, context.Canceled)
			}
			return insert(1)(ctx, tx)
		})
		if err != nil || runs != 1 || b.count(t, "t") != 1 {
			t.Errorf("a BEGIN that waits within %v: InTx = %v after %d runs with %d rows, want one of each", within, err, runs, b.count(t, "t"))
		}
	}
}

// What a function took from its transaction is closed with it.
func TestLargeObjectsEndWithTheirTransaction(t *testing.T) {
	t.Parallel()
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		for _, within := range []time.Duration{0, time.Hour} {
			b := single(t, method, nil)
			b.SetLateWithin(within)
			var los pgx.LargeObjects
			if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(_ context.Context, tx pgx.Tx) error {
				los = tx.LargeObjects()
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := los.Create(t.Context(), 0); !errors.Is(err, pgx.ErrTxClosed) || b.count(t, "pg_largeobject_metadata") != 0 {
				t.Errorf("%v, a BEGIN that waits within %v: Create = %v with %d large objects, want %v and none", method, within, err, b.count(t, "pg_largeobject_metadata"), pgx.ErrTxClosed)
			}
		}
	}
}

// panicky is a trace that panics when the driver has put together all of a
// statement, and sent nothing.
type panicky struct{ on *bool }

func (p panicky) Write(b []byte) (int, error) {
	if *p.on && strings.Contains(string(b), "Sync") {
		panic("trace")
	}
	return len(b), nil
}

// A panic amid a statement sends nothing of it, with or without its BEGIN.
func TestAPanicAmidTheFirstStatement(t *testing.T) {
	t.Parallel()
	on := false
	var held *pgx.Conn
	b := single(t, perdurepgx.Token, func(c *pgxpool.Config) {
		c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
			held = conn
			conn.PgConn().Frontend().Trace(panicky{&on}, pgproto3.TracerOptions{})
			return nil
		}
	})
	if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(0)); err != nil { // it is prepared now
		t.Fatal(err)
	}
	b.exec(t, "delete from t")
	done := held.PgConn().CleanupDone()
	pid := held.PgConn().PID()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic came up")
			}
		}()
		_ = b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
			on = true
			defer func() { on = false }()
			return insert(5)(ctx, tx)
		})
	}()
	<-done
	eventually(t, 30*time.Second, "the session ends", func() bool {
		var there bool
		if err := b.check.QueryRow(t.Context(), "select exists (select from pg_stat_activity where pid = $1)", pid).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return !there
	})
	if n := b.count(t, "t"); n != 0 {
		t.Errorf("%d rows were committed by a call that panicked", n)
	}
}

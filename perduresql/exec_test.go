package perduresql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perduresql"
	"github.com/perdure/perdure/pgerr"
)

// DBTX is what sqlc makes for database/sql.
type DBTX interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var (
	_ DBTX = (*perduresql.DB)(nil)
	_ DBTX = (*sql.Tx)(nil)
)

// writes are the ways to write outside a transaction.
func writes(b *bench) map[string]func(ctx context.Context, id int) error {
	const header = "-- name: AddRow :exec\n"
	return map[string]func(ctx context.Context, id int) error{
		"Exec without arguments": func(ctx context.Context, id int) error {
			_, err := b.ExecContext(ctx, header+"insert into w (v) values ("+strconv.Itoa(id)+")")
			return err
		},
		"Exec with arguments": func(ctx context.Context, id int) error {
			_, err := b.ExecContext(ctx, header+"insert into w (v) values ($1)", id)
			return err
		},
		"QueryRow": func(ctx context.Context, id int) error {
			var n int
			return b.QueryRowContext(ctx, header+"insert into w (v) values ($1) returning v", id).Scan(&n)
		},
		"QueryRow without arguments": func(ctx context.Context, id int) error {
			var n int
			return b.QueryRowContext(ctx, header+"insert into w (v) values ("+strconv.Itoa(id)+") returning v").Scan(&n)
		},
		"prepared": func(ctx context.Context, id int) error {
			st, err := b.PrepareContext(ctx, header+"insert into w (v) values ($1)")
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }()
			_, err = st.ExecContext(ctx, id)
			return err
		},
	}
}

// database/sql with these drivers runs a write twice when its reply is lost, and
// reports success. Here it runs once, and the error says so; an op that may be
// repeated is.
func TestLostReplyExecutesAWriteOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		b.exec(t, "create table w (v int)")
		id := 0
		for name, write := range writes(b) {
			for _, op := range []perdure.Op{{}, {Name: "test.idempotent", Idempotent: true}} {
				id++
				rule := faultproxytest.Add(t, proxy, faultproxy.Rule{
					Name: "reply", Count: 1, Action: faultproxy.FIN,
					Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.HasPrefix("INSERT")},
				})
				ctx := t.Context()
				if op.Idempotent {
					ctx = perdure.WithOp(ctx, op)
				}
				err := write(ctx, id)
				if rule.Hits() != 1 {
					t.Errorf("%s: the fault struck %d times", name, rule.Hits())
				}
				n := b.count(t, "w where v = "+strconv.Itoa(id))
				if op.Idempotent {
					if err != nil || n != 2 {
						t.Errorf("%s, idempotent = %v with %d rows, want nil with 2", name, err, n)
					}
					continue
				}
				e, ok := errors.AsType[*perdure.Error](err)
				if !ok || e.Op != "AddRow" || e.Reason != perdure.ReasonNotIdempotent || e.Verdict.Effect != pgerr.EffectUnknown || e.Verdict.Category != pgerr.CategoryConnection {
					t.Errorf("%s = %v (%+v), want not_idempotent with an unknown effect", name, err, e)
				}
				if errors.Is(err, driver.ErrBadConn) {
					t.Errorf("%s = %v is driver.ErrBadConn: database/sql would run it again", name, err)
				}
				if n != 1 {
					t.Errorf("%s: %d rows, want 1", name, n)
				}
			}
		}
	})
}

// A backend that is terminated says why; lib/pq turns that into "bad connection".
func TestTheSQLStateOfAFatalIsTold(t *testing.T) {
	t.Parallel()
	for name, through := range map[string]connecting{"pgx": throughPgx, "pq": throughPq} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
			rule := faultproxytest.Add(t, proxy, faultproxy.Rule{
				Name: "fatal", Count: 1, Action: faultproxy.Fatal, SQLState: "57P01",
				Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.HasPrefix("INSERT")},
			})
			_, err := b.ExecContext(t.Context(), "insert into t (id) values (1)")
			e, ok := errors.AsType[*perdure.Error](err)
			if !ok || e.Verdict.SQLState != "57P01" || rule.Hits() != 1 {
				t.Errorf("Exec = %v (%+v), want the SQLSTATE 57P01", err, e)
			}
			if n := b.count(t, "t"); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
			var state interface{ SQLState() string }
			tx, err := b.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			faultproxytest.Add(t, proxy, faultproxy.Rule{
				Name: "fatal", Count: 1, Action: faultproxy.Fatal, SQLState: "25P03",
				Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.HasPrefix("insert")},
			})
			if _, err := tx.ExecContext(t.Context(), "insert into t (id) values (2)"); !errors.As(err, &state) || state.SQLState() != "25P03" {
				t.Errorf("Exec in a transaction = %v, want the SQLSTATE 25P03", err)
			}
			if err := tx.Commit(); err == nil || errors.Is(err, perdure.ErrOutcomeUnknown) {
				t.Errorf("Commit = %v, want an error that is not unknown", err)
			}
			if n := b.count(t, "t"); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
		})
	}
}

// A server that does not answer ends no call of lib/pq by itself: neither a
// statement nor a connect. The test hangs if that is not mended.
func TestAContextIsHeededWhereTheDriverDoesNot(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{Policy: perdure.Policy{Park: time.Minute}}, perduresql.Config{})
		for name, work := range map[string]func(ctx context.Context) error{
			"Exec": func(ctx context.Context) error {
				_, err := b.ExecContext(ctx, "insert into t (id) values (7)")
				return err
			},
			"QueryRow": func(ctx context.Context) error {
				var n int
				return b.QueryRowContext(ctx, "select count(*) from t where id = $1", 7).Scan(&n)
			},
			"InTx": func(ctx context.Context) error { return b.InTx(ctx, opLoad, nil, insert(8)) },
			"Ping": b.PingContext,
			"connect": func(ctx context.Context) error {
				conn, err := b.Conn(ctx)
				if err != nil {
					return err
				}
				defer func() { _ = conn.Close() }()
				return conn.PingContext(ctx)
			},
		} {
			if name != "connect" {
				if err := b.PingContext(t.Context()); err != nil { // a connection is there
					t.Fatal(err)
				}
			} else {
				proxy.CutAll(faultproxy.RST)
			}
			proxy.Pause()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			err := work(ctx)
			cancel()
			proxy.Resume()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %v, want the end of the context", name, err)
			}
		}
	})
}

func TestPreparedStatementsLiveOnWhateverConnection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		ctx := perdure.WithOp(t.Context(), perdure.Op{Name: "test.read", ReadOnly: true})
		b.exec(t, "insert into t values (1, 'a')")
		st, err := b.PrepareContext(ctx, "select * from t where id = $1")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		read := func(when string) {
			t.Helper()
			rows, err := st.QueryContext(ctx, 1)
			if err != nil {
				t.Errorf("%s: Query = %v, want nil", when, err)
				return
			}
			defer func() { _ = rows.Close() }()
			n := 0
			for rows.Next() {
				n++
			}
			if err := rows.Err(); err != nil || n != 1 {
				t.Errorf("%s: %d rows, %v, want 1", when, n, err)
			}
		}
		read("at first")
		proxy.CutAll(faultproxy.RST)
		read("after the connections broke")
		b.exec(t, "alter table t add column w int")
		read("after its result has changed")
		if _, err := b.ExecContext(ctx, "deallocate all"); err != nil {
			t.Fatal(err)
		}
		read("after the server has forgotten it")
		if _, err := b.PrepareContext(ctx, "selec"); pgerr.Classify(err).SQLState != "42601" { //nolint:sqlclosecheck // it fails
			t.Errorf("Prepare = %v, want 42601", err)
		}
		err = b.InTx(ctx, opLoad, nil, func(ctx context.Context, tx *sql.Tx) error {
			inside := tx.StmtContext(ctx, st)
			defer func() { _ = inside.Close() }()
			_, err := inside.ExecContext(ctx, 1)
			return err
		})
		if err != nil {
			t.Errorf("in a transaction = %v, want nil", err)
		}
	})
}

// A query is repeated up to its first row, and not after it.
func TestQueriesAreRepeatedUpToTheirFirstRow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		ctx := perdure.WithOp(t.Context(), perdure.Op{Name: "test.read", ReadOnly: true})
		query := "select i, repeat('x', 1000) from generate_series(1, $1) i"
		rows := func() (n int, err error) {
			rows, err := b.QueryContext(ctx, query, 5000)
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, rows.Close()) }()
			var id int
			var text string
			for rows.Next() {
				if err := rows.Scan(&id, &text); err != nil {
					return n, err
				}
				if n++; id != n {
					return n, errors.New("a row is missing or doubled")
				}
			}
			return n, rows.Err()
		}
		first := faultproxytest.Add(t, proxy, faultproxy.Rule{Name: "first", Count: 1, Action: faultproxy.RST, Match: faultproxy.Match{Message: faultproxy.DataRow}})
		if n, err := rows(); n != 5000 || err != nil || first.Hits() != 1 {
			t.Errorf("%d rows, %v, after %d faults, want all after 1", n, err, first.Hits())
		}
		late := faultproxytest.Add(t, proxy, faultproxy.Rule{Name: "late", Skip: 4000, Count: 1, Action: faultproxy.RST, Match: faultproxy.Match{Message: faultproxy.DataRow}})
		n, err := rows()
		if n == 0 || n == 5000 || err == nil || errors.Is(err, driver.ErrBadConn) || late.Hits() != 1 {
			t.Errorf("%d rows, %v, after %d faults, want some and an error", n, err, late.Hits())
		}
		if s := b.Stats(); s.InUse != 0 {
			t.Errorf("%d connections are still in use", s.InUse)
		}
		if n, err := rows(); n != 5000 || err != nil {
			t.Errorf("afterwards %d rows, %v, want all", n, err)
		}
	})
}

// A sql.Conn is one session; what it holds is lost with its connection, and no
// statement runs on another in its stead.
func TestASessionStaysOnItsConnection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, proxy := behind(t, through, perdure.Config{}, perduresql.Config{})
		ctx := perdure.WithOp(t.Context(), perdure.Op{Name: "test.idempotent", Idempotent: true})
		conn, err := b.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(ctx, "create temp table mine (v int)"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := conn.ExecContext(ctx, "insert into mine values (1)"); err != nil {
				t.Errorf("Exec = %v, want nil on the same session", err)
			}
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := tx.QueryRowContext(ctx, "select count(*) from mine").Scan(&n); err != nil || n != 3 {
			t.Errorf("in a transaction of the session %d rows, %v, want 3", n, err)
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("Commit = %v", err)
		}
		if err := conn.QueryRowContext(ctx, "select count(*) from mine").Scan(&n); err != nil || n != 3 {
			t.Errorf("after the transaction %d rows, %v, want 3", n, err)
		}
		proxy.CutAll(faultproxy.RST)
		for range 2 {
			if _, err := conn.ExecContext(ctx, "select 1"); err == nil || errors.Is(err, driver.ErrBadConn) {
				t.Errorf("Exec on a lost session = %v, want an error that is not driver.ErrBadConn", err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if _, err := b.ExecContext(ctx, "select 1"); err != nil {
			t.Errorf("Exec afterwards = %v, want nil", err)
		}
	})
}

// A restart costs no caller an error: connections that their server has left are
// found before anything is sent.
func TestRestartCostsNoCallerAnError(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	for name, through := range map[string]connecting{"pgx": throughPgx, "pq": throughPq} {
		b := openAt(t, through, c.URL("postgres"), c.URL("postgres"), perdure.Config{}, perduresql.Config{})
		b.SetMaxIdleConns(4)
		b.exec(t, "create table "+name+" (v int)")
		for _, mode := range []pgcluster.StopMode{pgcluster.Fast, pgcluster.Immediate} {
			var held []*sql.Conn
			for range 4 {
				conn, err := b.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := conn.PingContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				held = append(held, conn)
			}
			for _, conn := range held {
				_ = conn.Close()
			}
			if err := c.Stop(t.Context(), mode); err != nil {
				t.Fatal(err)
			}
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range 8 {
				if _, err := b.ExecContext(t.Context(), "insert into "+name+" values (1)"); err != nil {
					t.Errorf("%s: Exec after a restart = %v, want nil", name, err)
				}
			}
		}
		_ = b.check.PingContext(t.Context()) // it has noticed by now, or does here
		if n := b.count(t, name); n != 16 {
			t.Errorf("%s: %d rows, want 16", name, n)
		}
	}
}

func TestErrorsComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, through connecting) {
		t.Helper()
		b, _ := behind(t, through, perdure.Config{}, perduresql.Config{})
		var n int
		if err := b.QueryRowContext(t.Context(), "select id from t").Scan(&n); err != sql.ErrNoRows {
			t.Errorf("QueryRow = %v, want sql.ErrNoRows itself", err)
		}
		err := b.InTx(t.Context(), opLoad, nil, func(_ context.Context, tx *sql.Tx) error { return tx.Commit() })
		if err == nil || !strings.Contains(err.Error(), "do not call Commit") {
			t.Errorf("InTx with a Commit inside = %v, want an error that says so", err)
		}
		err = b.InTx(t.Context(), opLoad, nil, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "insert into t values (1); commit")
			return err
		})
		if err == nil || b.count(t, "t") != 0 {
			t.Errorf("InTx with COMMIT as a statement = %v with %d rows, want an error and none", err, b.count(t, "t"))
		}
		err = b.InTx(t.Context(), opLoad, nil, func(ctx context.Context, tx *sql.Tx) error {
			_, _ = tx.ExecContext(ctx, "insert into t values (1), (1)")
			return nil // the function kept the error to itself
		})
		if v := pgerr.Classify(err); v.SQLState != "23505" {
			t.Errorf("InTx of an aborted transaction = %v, want what aborted it, 23505", err)
		}
	})
}

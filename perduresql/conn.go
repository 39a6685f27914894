package perduresql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/sqlname"
)

// conn is a place for a call: what the user's *sql.DB takes for a connection. It
// takes one of the driver's when a statement needs it, and keeps that until
// database/sql gives the place back.
type conn struct {
	db *DB
	h  *held // of a session: kept since its first statement
	tx *txn  // that is open
}

// Interfaces that database/sql looks for.
var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
)

// Begin is database/sql's old way; it uses BeginTx.
func (c *conn) Begin() (driver.Tx, error) { return nil, errOldWay }

// Prepare is database/sql's old way; it uses PrepareContext.
func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errOldWay }

var errOldWay = errors.New("perduresql: use the methods that take a context")

// CheckNamedValue lets every argument pass: the driver's own connection looks at
// it in each attempt.
func (c *conn) CheckNamedValue(*driver.NamedValue) error { return nil }

// Close gives up the place.
func (c *conn) Close() error {
	c.free()
	return nil
}

// IsValid is called when database/sql takes the place back: its session ends.
func (c *conn) IsValid() bool {
	c.free()
	return true
}

// ResetSession is called before the place is used again.
func (c *conn) ResetSession(context.Context) error {
	c.free()
	return nil
}

func (c *conn) free() {
	c.tx = nil
	if c.h != nil {
		c.h.release()
		c.h = nil
	}
}

// Ping asks the server for an answer.
func (c *conn) Ping(ctx context.Context) error {
	op := sqlname.Derived("ping")
	op.ReadOnly = true
	if _, ok := perdure.OpFrom(ctx); !ok {
		ctx = perdure.WithOp(ctx, op)
	}
	_, err := c.ExecContext(ctx, "select 1", nil)
	return err
}

// ExecContext runs a statement, see [DB].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.exec(ctx, query, args, false)
}

func (c *conn) exec(ctx context.Context, query string, args []driver.NamedValue, prepared bool) (driver.Result, error) {
	var r driver.Result
	err := c.guarded(ctx, query, func(ctx context.Context, h *held) error {
		var err error
		r, err = h.exec(ctx, query, args, prepared)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// QueryContext runs a query, see [DB]. Its first row has arrived when it
// returns, and it is known whether there is another.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.query(ctx, query, args, false)
}

func (c *conn) query(ctx context.Context, query string, args []driver.NamedValue, prepared bool) (driver.Rows, error) {
	var out *rows
	err := c.guarded(ctx, query, func(attempt context.Context, h *held) error {
		var err error
		out, err = h.rows(ctx, attempt, query, args, prepared)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.asDriver(), nil
}

// PrepareContext prepares a statement: on a connection of the driver, to find
// its faults, and again on each that it is run on.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s := &stmt{c: c, query: query}
	if sqlname.Verb(query) == "copy" { // lib/pq begins a COPY when it is prepared
		return nil, errCopy
	}
	if c.h == nil && c.tx == nil {
		defer c.free() // a statement is no session: it is prepared wherever it is run
	}
	err := c.guarded(ctx, query, func(ctx context.Context, h *held) error {
		var err error
		s.inputs, err = h.prepare(ctx, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

var errCopy = errors.New("perduresql: COPY cannot be guarded here: use perdurepgx, or insert statements of many rows")

// guarded runs f, which is about query: inside the transaction or the session
// that is open, once; else as an operation of its own.
func (c *conn) guarded(ctx context.Context, query string, f func(ctx context.Context, h *held) error) error {
	if c.tx != nil {
		return c.tx.statement(ctx, query, f)
	}
	op, plain := c.db.names.Statement(ctx, query)
	if c.h != nil {
		return c.pinned(ctx, *op, plain, f)
	}
	var last *held
	defer func() {
		if last != nil { // a panic of the program's own types
			last.broken.Store(true)
			last.release()
		}
	}()
	return c.db.m.Guarded(ctx, *op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		h, j, err := c.db.acquire(ctx, op)
		if err != nil {
			return j, err
		}
		last = h
		before := h.written()
		err = f(ctx, h)
		h.turn.End(err != nil && ctx.Err() != nil)
		if err == nil {
			if j, err = h.done(); err == nil {
				c.h = h
			}
		} else {
			j, err = c.db.judge(ctx, h.link, before, plain, err)
		}
		if last = nil; err != nil {
			h.release()
		}
		return j, err
	})
}

// errSession is the error of a session whose connection is lost.
var errSession = errors.New("perduresql: the connection of this session is lost: take a new sql.Conn")

// pinned runs a later statement of a session. It is not repeated: it may depend
// on what the session holds, and a wait would hold the connection.
func (c *conn) pinned(ctx context.Context, op perdure.Op, plain bool, f func(ctx context.Context, h *held) error) error {
	h := c.h
	h.take(op.Name)
	return c.db.m.Guarded(ctx, op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		if h.broken.Load() {
			return adapter.Never("take a new sql.Conn, and begin the work of the session anew"), errSession
		}
		before := h.written()
		err := f(ctx, h)
		var j perdure.Judgement
		if err == nil {
			j, err = h.done()
		} else {
			j, err = c.db.judge(ctx, h.link, before, plain, err)
		}
		j.Repeat = perdure.RepeatNever
		return j, err
	})
}

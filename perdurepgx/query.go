package perdurepgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
)

// Query runs a query as pgx does, guarded as [DB.Exec] is, up to its first row:
// that row has arrived when Query returns. An error that comes later is in
// Rows.Err as it is.
func (db *DB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	op, plain := db.names.Statement(ctx, sql)
	var out *rows
	err := db.m.Guarded(ctx, *op, func(attempt context.Context, _ int) (perdure.Judgement, error) {
		conn, w, j, err := db.acquire(attempt, op)
		if err != nil {
			return j, err
		}
		own, keep, end := adapter.Outliving(ctx, attempt)
		done := false
		defer func() {
			if !done {
				end()
				conn.Release()
			}
		}()
		before := w.app.Load()
		r, err := conn.Query(own, sql, args...)
		if err == nil {
			out = &rows{Rows: r, ctx: ctx, end: end, conn: conn, w: w, peeked: true}
			if out.first = r.Next(); out.first {
				keep()
				done = true
				return perdure.Judgement{}, nil
			}
			r.Close()
			if err = r.Err(); err == nil {
				out.ended = true // the connection goes back now: what is asked of these rows later must not touch it
				return w.done()
			}
		}
		return db.judge(attempt, conn.Conn(), w, w.app.Load() == before, plain, err)
	})
	if err != nil {
		return failedRows{err: err}, err
	}
	return out, nil
}

// rows are pgx's, of which the first has been asked for already. They live
// only until they are read, and so hold a context, as pgx's own do.
type rows struct {
	pgx.Rows

	ctx    context.Context //nolint:containedctx // see the doc comment
	end    func()          // of their context
	conn   *pgxpool.Conn
	w      *wire
	peeked bool
	first  bool
	ended  bool
	err    error // once ended
}

func (r *rows) Next() bool {
	if r.peeked {
		r.peeked = false
		return r.first
	}
	if r.Rows.Next() {
		return true
	}
	r.release()
	return false
}

func (r *rows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close()
	}
	return err
}

func (r *rows) Values() ([]any, error) {
	v, err := r.Rows.Values()
	if err != nil {
		r.Close()
	}
	return v, err
}

func (r *rows) Close() {
	r.Rows.Close()
	r.release()
}

// release gives the connection back, after what it knows was asked of it.
func (r *rows) release() {
	if r.ended {
		return
	}
	r.err = r.Err()
	r.ended = true
	r.end()
	r.conn.Release()
}

func (r *rows) Err() error {
	if r.ended {
		return r.err
	}
	if err := r.Rows.Err(); err != nil {
		return adapter.WithCause(r.ctx, r.w.explain(err))
	}
	_, err := r.w.done()
	return err
}

// failedRows are the rows of a query that failed, and its row.
type failedRows struct{ err error }

func (failedRows) Close()                                       {}
func (f failedRows) Err() error                                 { return f.err }
func (failedRows) CommandTag() pgconn.CommandTag                { return pgconn.CommandTag{} }
func (failedRows) FieldDescriptions() []pgconn.FieldDescription { return nil }
func (failedRows) Next() bool                                   { return false }
func (f failedRows) Scan(...any) error                          { return f.err }
func (f failedRows) Values() ([]any, error)                     { return nil, f.err }
func (failedRows) RawValues() [][]byte                          { return nil }
func (failedRows) Conn() *pgx.Conn                              { return nil }
func (failedRows) TypeMap() *pgtype.Map                         { return nil }

// QueryRow returns the row of a query, guarded as [DB.Exec] is. Unlike pgx, it
// sends the query when Scan is called, so that the whole of it can be repeated.
// Without a row the error is pgx.ErrNoRows.
func (db *DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return &row{db: db, ctx: ctx, sql: sql, args: args}
}

// row is a query that waits for Scan. It lives only until then, and so holds a
// context, as pgx's own does.
type row struct {
	db   *DB
	ctx  context.Context //nolint:containedctx // see the doc comment
	sql  string
	args []any
}

func (r *row) Scan(dest ...any) error {
	db := r.db
	op, plain := db.names.Statement(r.ctx, r.sql)
	var none error
	err := db.m.Guarded(r.ctx, *op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		conn, w, j, err := db.acquire(ctx, op)
		if err != nil {
			return j, err
		}
		defer conn.Release()
		before := w.app.Load()
		err = conn.QueryRow(ctx, r.sql, r.args...).Scan(dest...)
		if errors.Is(err, pgx.ErrNoRows) {
			none, err = err, nil // an answer like any other
		}
		if err == nil {
			return w.done()
		}
		return db.judge(ctx, conn.Conn(), w, w.app.Load() == before, plain, err)
	})
	if err == nil {
		return none
	}
	return err
}

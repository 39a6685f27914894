package perdurepgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/sqlname"
)

var (
	errBatchTx     = errors.New("perdurepgx: a batch must not begin or end a transaction: use InTx, and tx.SendBatch in it")
	errBatchEmpty  = errors.New("perdurepgx: the batch has no more results")
	errBatchClosed = errors.New("perdurepgx: the batch is closed")
)

// SendBatch sends a batch as pgx does, guarded: its statements are one implicit
// transaction. It is sent when the first of its results is asked for, and
// repeated, as [DB.Exec] is, up to the first result. If Close is called first,
// and no result has a function, that is the whole of it. The batch itself is
// not changed; a batch that begins or ends a transaction is refused.
func (db *DB) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	s := &batch{db: db, ctx: ctx, b: b, plain: true}
	for i, q := range b.QueuedQueries {
		op, plain := db.names.Statement(ctx, q.SQL)
		if i == 0 {
			s.op = *op
		}
		s.plain = s.plain && plain
		if sqlname.EndsTx(q.SQL) {
			s.err = errBatchTx
		}
	}
	if s.op.Name == "" {
		s.op = sqlname.Derived("batch")
	}
	return s
}

// batch is a batch that waits for its first result to be asked for. Like pgx's
// own it lives only until it is closed, and so holds a context.
type batch struct {
	db    *DB
	ctx   context.Context //nolint:containedctx // see the doc comment
	b     *pgx.Batch
	op    perdure.Op
	plain bool
	next  int // the query whose result is asked for next

	inner  pgx.BatchResults // nil until sent
	conn   *pgxpool.Conn
	w      *wire
	end    func()   // of the context of inner
	first  pgx.Rows // the first result, begun; nil once handed out
	row    bool     // first has a row, which has been asked for
	closed bool
	err    error
}

// copyOf returns a batch to be sent once: pgx leaves marks in what it sends.
func copyOf(b *pgx.Batch) *pgx.Batch {
	c := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, len(b.QueuedQueries))}
	for i, q := range b.QueuedQueries {
		c.QueuedQueries[i] = &pgx.QueuedQuery{SQL: q.SQL, Arguments: q.Arguments}
	}
	return c
}

// send sends the batch and reads the start of its first result, or all results.
func (s *batch) send(all bool) error {
	if s.err != nil || s.inner != nil {
		return s.err
	}
	s.err = s.db.m.Guarded(s.ctx, s.op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		conn, w, j, err := s.db.acquire(ctx, &s.op)
		if err != nil {
			return j, err
		}
		own, keep, end := adapter.Outliving(s.ctx, ctx)
		kept := false
		defer func() {
			if !kept {
				end()
				conn.Release()
			}
		}()
		// Some modes of pgx write a batch past the frontend: only the socket's bytes tell.
		before := w.raw.Load()
		results := conn.SendBatch(own, copyOf(s.b))
		if all {
			err = results.Close()
		} else if s.first, err = results.Query(); err == nil {
			if s.row = s.first.Next(); !s.row {
				s.first.Close()
				err = s.first.Err()
			}
		}
		if err != nil {
			unsent := w.raw.Load() == before
			_ = results.Close()
			return s.db.judge(ctx, conn.Conn(), w, unsent, s.plain, err)
		}
		if all {
			if j, err := w.done(); err != nil {
				return j, err
			}
		}
		keep()
		s.inner, s.conn, s.w, s.end, kept = results, conn, w, end, true
		return perdure.Judgement{}, nil
	})
	return s.err
}

func (s *batch) Query() (pgx.Rows, error) {
	if s.closed {
		return failedRows{err: errBatchClosed}, errBatchClosed
	}
	if len(s.b.QueuedQueries) > 0 {
		if err := s.send(false); err != nil {
			return failedRows{err: err}, err
		}
	}
	if s.next >= len(s.b.QueuedQueries) {
		return failedRows{err: errBatchEmpty}, errBatchEmpty
	}
	s.next++
	if first := s.first; first != nil {
		s.first = nil
		return &batchRows{Rows: first, w: s.w, peeked: true, row: s.row}, nil
	}
	r, err := s.inner.Query()
	return &batchRows{Rows: r, w: s.w}, err
}

func (s *batch) QueryRow() pgx.Row {
	r, _ := s.Query() // the error is in the rows
	return oneRow{r}
}

func (s *batch) Exec() (pgconn.CommandTag, error) {
	r, err := s.Query()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	r.Close()
	return r.CommandTag(), r.Err()
}

// Close reads what is left, calls the functions of the queries, and gives the
// connection back.
func (s *batch) Close() error {
	if s.closed {
		return s.err
	}
	if s.inner == nil && s.err == nil && len(s.b.QueuedQueries) > 0 {
		_ = s.send(!s.hasFunctions()) // its error is s.err
	}
	if s.inner == nil {
		s.closed = true
		return s.err
	}
	defer s.conn.Release()
	defer s.end()
	for s.err == nil && s.next < len(s.b.QueuedQueries) && (s.first != nil || s.hasFunctions()) {
		if fn := s.b.QueuedQueries[s.next].Fn; fn != nil {
			s.err = fn(s)
		} else {
			_, s.err = s.Exec()
		}
	}
	s.closed = true
	err := s.inner.Close()
	if err == nil {
		_, err = s.w.done()
	}
	if s.err == nil && err != nil {
		s.err = adapter.WithCause(s.ctx, s.w.explain(err))
	}
	return s.err
}

func (s *batch) hasFunctions() bool {
	for _, q := range s.b.QueuedQueries {
		if q.Fn != nil {
			return true
		}
	}
	return false
}

// Tx returns nil: a guarded batch does not begin a transaction.
func (s *batch) Tx() pgx.Tx { return nil }

// batchRows are the rows of one result of a batch, of which the first may have
// been asked for already.
type batchRows struct {
	pgx.Rows

	w      *wire
	peeked bool
	row    bool
}

func (r *batchRows) Next() bool {
	if r.peeked {
		r.peeked = false
		return r.row
	}
	return r.Rows.Next()
}

func (r *batchRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return r.w.explain(err)
	}
	return nil
}

// oneRow is the first of some rows.
type oneRow struct{ rows pgx.Rows }

func (o oneRow) Scan(dest ...any) error {
	defer o.rows.Close()
	if !o.rows.Next() {
		if err := o.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := o.rows.Scan(dest...); err != nil {
		return err
	}
	o.rows.Close()
	return o.rows.Err()
}

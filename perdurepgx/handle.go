package perdurepgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/sqlname"
)

var (
	errCommitInside = errors.New("perdurepgx: the transaction is committed when its function returns nil: do not call Commit")
	errEndedInside  = errors.New("perdurepgx: the function ended the transaction with a statement of its own")
	errMadeWritable = errors.New("perdurepgx: the function made its READ ONLY transaction writable")
	errNested       = errors.New("perdurepgx: a transaction is open already: use tx.Begin for a savepoint")
)

// handle is the pgx.Tx that a function gets. Its own Commit is refused; all
// else is pgx's, until the transaction has ended.
type handle struct {
	watchedTx

	late *attempt        // whose BEGIN may wait for the first statement; nil if it was sent before the function
	ctx  context.Context //nolint:containedctx // of that BEGIN, where a method has none

	done     bool // ended by perdure: the connection may be another's by now
	rolled   bool // the function rolled back by itself
	notifies bool // a statement may NOTIFY: the commit needs a marker even without an xid
}

func newHandle(tx pgx.Tx) *handle {
	h := &handle{}
	h.watchedTx = watchedTx{Tx: tx, h: h}
	return h
}

// watchedTx is a transaction, or a savepoint in it, whose statements are looked at.
type watchedTx struct {
	pgx.Tx

	h *handle
}

// open returns pgx's own Tx for a transaction that has been begun on conn, and
// whose COMMIT is commitSQL. It costs no I/O: a batch that begins a
// transaction, and from which the begin was taken out, is never sent.
func open(ctx context.Context, conn *pgx.Conn, commitSQL string) pgx.Tx {
	b := &pgx.Batch{}
	b.BeginTx(pgx.TxOptions{CommitQuery: commitSQL})
	b.QueuedQueries = nil
	return conn.SendBatch(ctx, b).Tx()
}

// saw looks at a statement before it is sent. One that would end the
// transaction is refused here, where nothing has happened yet: if its reply
// were lost, nobody could tell.
func (h *handle) saw(sql string) error {
	if sqlname.EndsInside(sql) {
		return errEndedInside
	}
	if !h.notifies && sqlname.MayNotify(sql) {
		h.notifies = true
	}
	return nil
}

// enter looks at a statement that is about to be sent; "" is none. A BEGIN that
// waits is sent before it, unless it may wait until it goes out with it.
func (h *handle) enter(mayWait bool, sql string) error {
	if h.done {
		return pgx.ErrTxClosed
	}
	if err := h.saw(sql); err != nil {
		return err
	}
	switch {
	case h.late == nil:
		return nil
	case h.late.w.late.is(lateRefused):
		return errBeginRefused
	case mayWait && h.late.lately():
		return nil
	}
	return h.late.beginEarly(h.ctx) // not ctx: the end of one statement's is not that of the transaction
}

func (h *handle) Commit(context.Context) error { return errCommitInside }

func (h *handle) Rollback(ctx context.Context) error {
	if h.done || h.rolled {
		return pgx.ErrTxClosed
	}
	h.rolled, h.done = true, true
	if h.late != nil && h.late.unsent() {
		h.late.w.late.forget() // there is nothing to roll back
		return nil
	}
	return h.Tx.Rollback(ctx)
}

func (w *watchedTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := w.h.enter(false, ""); err != nil {
		return nil, err
	}
	tx, err := w.Tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &watchedTx{Tx: tx, h: w.h}, nil
}

// Conn is a way past what is watched, and so the transaction is begun first.
func (w *watchedTx) Conn() *pgx.Conn {
	w.begun()
	return w.Tx.Conn()
}

func (w *watchedTx) LargeObjects() pgx.LargeObjects {
	w.begun()
	return w.Tx.LargeObjects()
}

// begun sends a BEGIN that waits. If that fails, the connection is closed, since
// nobody can be told, and nothing may run outside the transaction.
func (w *watchedTx) begun() {
	h := w.h
	if h.done || h.late == nil {
		return
	}
	if err := h.late.beginEarly(h.ctx); err != nil || h.late.w.late.is(lateRefused) {
		h.late.w.cut()
	}
}

func (w *watchedTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	if err := w.h.enter(false, ""); err != nil {
		return 0, err
	}
	return w.Tx.CopyFrom(ctx, table, columns, src)
}

func (w *watchedTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if w.h.done {
		return pgx.FailedBatchResults(b, pgx.ErrTxClosed)
	}
	for _, q := range b.QueuedQueries {
		if err := w.h.saw(q.SQL); err != nil {
			return pgx.FailedBatchResults(b, err)
		}
	}
	if err := w.h.enter(false, ""); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	return w.Tx.SendBatch(ctx, b)
}

func (w *watchedTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := w.h.enter(false, sql); err != nil {
		return nil, err
	}
	return w.Tx.Prepare(ctx, name, sql)
}

func (w *watchedTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := w.h.enter(mayWait(args), sql); err != nil {
		return pgconn.CommandTag{}, err
	}
	return w.Tx.Exec(ctx, sql, args...)
}

func (w *watchedTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := w.h.enter(mayWait(args), sql); err != nil {
		return failedRows{err: err}, err
	}
	return w.Tx.Query(ctx, sql, args...)
}

func (w *watchedTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := w.h.enter(mayWait(args), sql); err != nil {
		return failedRows{err: err}
	}
	return w.Tx.QueryRow(ctx, sql, args...)
}

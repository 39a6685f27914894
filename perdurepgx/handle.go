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

func (h *handle) Commit(context.Context) error { return errCommitInside }

func (h *handle) Rollback(ctx context.Context) error {
	if h.done || h.rolled {
		return pgx.ErrTxClosed
	}
	h.rolled = true
	return h.Tx.Rollback(ctx)
}

func (w *watchedTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if w.h.done {
		return nil, pgx.ErrTxClosed
	}
	tx, err := w.Tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &watchedTx{Tx: tx, h: w.h}, nil
}

func (w *watchedTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	if w.h.done {
		return 0, pgx.ErrTxClosed
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
	return w.Tx.SendBatch(ctx, b)
}

func (w *watchedTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if w.h.done {
		return nil, pgx.ErrTxClosed
	}
	if err := w.h.saw(sql); err != nil {
		return nil, err
	}
	return w.Tx.Prepare(ctx, name, sql)
}

func (w *watchedTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if w.h.done {
		return pgconn.CommandTag{}, pgx.ErrTxClosed
	}
	if err := w.h.saw(sql); err != nil {
		return pgconn.CommandTag{}, err
	}
	return w.Tx.Exec(ctx, sql, args...)
}

func (w *watchedTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if w.h.done {
		return failedRows{err: pgx.ErrTxClosed}, pgx.ErrTxClosed
	}
	if err := w.h.saw(sql); err != nil {
		return failedRows{err: err}, err
	}
	return w.Tx.Query(ctx, sql, args...)
}

func (w *watchedTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if w.h.done {
		return failedRows{err: pgx.ErrTxClosed}
	}
	if err := w.h.saw(sql); err != nil {
		return failedRows{err: err}
	}
	return w.Tx.QueryRow(ctx, sql, args...)
}

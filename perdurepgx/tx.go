package perdurepgx

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/pgerr"
)

// rollbackWait bounds a ROLLBACK: a connection that does not answer it is
// closed, and the server rolls back by itself.
const rollbackWait = 2 * time.Second

// InTx runs fn in a transaction and commits it. The whole of it, fn included,
// is repeated under op's policy when the server rolled it back, or when the
// connection broke before COMMIT was written: nothing of the attempt remains
// then, so op need not be Idempotent. A COMMIT whose reply is lost is resolved:
// committed is success, aborted is a repeat, and what cannot be proven is an
// *[perdure.Error] with ReasonOutcomeUnknown.
//
// BEGIN may wait for the first statement that fn sends, and go out with it: what
// the server calls the start of the transaction is then the start of that. A
// tracer of pgx must therefore send nothing on the connection that it is given.
//
// fn must keep to its ctx and its tx, and have no other effects that a repeat
// would double. An error that it returns rolls back; a permanent one comes back
// untouched. A panic rolls back and goes on up. Work with another connection of
// the pool inside fn runs, but is not repeated. An op that is ReadOnly runs in
// a READ ONLY transaction.
//
// While COMMIT is pending, and while its outcome is looked into, the end of
// ctx is not heeded: both have limits of their own, see [Config].
func (db *DB) InTx(ctx context.Context, op perdure.Op, opts pgx.TxOptions, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.inTx(ctx, op, opts, db.cfg.Outcome, fn)
}

func (db *DB) inTx(ctx context.Context, op perdure.Op, opts pgx.TxOptions, method Outcome, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if db.m.InTransaction(ctx) {
		return errNested
	}
	if op.ReadOnly {
		opts.AccessMode = pgx.ReadOnly
	}
	return db.m.Guarded(ctx, op, func(ctx context.Context, n int) (perdure.Judgement, error) {
		a := attempt{db: db, op: &op, method: method, opts: opts, n: n}
		return a.run(ctx, fn)
	})
}

// attempt is one try of a transaction.
type attempt struct {
	db     *DB
	op     *perdure.Op
	opts   pgx.TxOptions
	method Outcome // Auto until the connection has learned what its server can do
	once   *once   // nil for a plain transaction
	n      int     // counted from 1; 0 for a Once

	conn  *pgxpool.Conn
	pc    *pgconn.PgConn
	w     *wire
	h     *handle
	doubt outcome.Doubt // what the resolver will need
	tags  tally         // of the connection, when the transaction had begun
	known *facts        // of the connection; nil if nobody asked
	sql   string        // with which h.Tx commits

	unbegun *unbegun // why a BEGIN that waited for the function was not done; nil if it was

	settled func() // says that the outcome of COMMIT is known; nil before COMMIT
}

func (a *attempt) run(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) (perdure.Judgement, error) {
	conn, w, j, err := a.db.acquire(ctx, a.op)
	if err != nil {
		return j, err
	}
	w.begins = 0 // the first that is written may be what fn sends, later
	a.conn, a.w, a.pc = conn, w, conn.Conn().PgConn()
	a.db.open.Add(1) // while the connection is held, Close waits for the pool
	defer a.db.open.Done()
	defer func() {
		if a.settled != nil {
			a.settled()
		}
	}()
	finished := false
	defer func() {
		if !finished {
			a.abandon(ctx) // a panic, or the end of the goroutine
		}
	}()
	j, err = a.body(ctx, fn)
	finished = true
	w.turn.End(err != nil && ctx.Err() != nil)
	if a.doubt.Err != nil {
		// The connection goes first: nothing is looked into while it is held.
		if w.committing.Load() {
			w.cut()
		}
		conn.Release()
		return a.resolve(ctx)
	}
	if err != nil && a.pc.IsClosed() {
		// The server may not know, and the repeat would wait for its locks.
		a.db.resolver.Adopt(ctx, a.doubt.Backend)
	}
	conn.Release()
	return j, err
}

// body runs the transaction. If it leaves a doubt, it is in a.doubt.
func (a *attempt) body(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) (perdure.Judgement, error) {
	if j, err := a.begin(ctx); err != nil {
		return j, err
	}
	if a.once != nil && a.once.remembered {
		return a.confirm(ctx)
	}
	err := fn(a.db.m.WithTransaction(ctx), a.h)
	if err != nil {
		return a.failed(ctx, err)
	}
	if j, err := a.ready(ctx); err != nil {
		return j, err
	}
	return a.commit(ctx)
}

// beginWait bounds a BEGIN, which waits for nobody: a connection that does not
// answer it leads nowhere. The wait of a Once for its twin comes on top.
const beginWait = 5 * time.Second

// begin sends BEGIN with whatever the outcome will need, in one round trip.
func (a *attempt) begin(ctx context.Context) (perdure.Judgement, error) {
	wait := beginWait
	if a.once != nil {
		wait += a.db.cfg.TwinTimeout
	}
	a.w.bound(wait)
	defer a.w.unbound()
	return a.prepare(ctx)
}

// prepare learns what it must know of the connection, and sends BEGIN, unless
// that may wait.
func (a *attempt) prepare(ctx context.Context) (perdure.Judgement, error) {
	var known *facts
	if a.once != nil || !a.readOnly() { // what changes nothing leaves no doubt
		var err error
		if known, err = a.db.learn(ctx, a.pc, a.w); err != nil {
			return a.beginFailed(ctx, err)
		}
	}
	if known != nil && !known.marker && (a.once != nil || a.method == Marker) {
		// Another process may have called Migrate since this connection asked.
		a.w.known = nil
		var err error
		if known, err = a.db.learn(ctx, a.pc, a.w); err != nil {
			return a.beginFailed(ctx, err)
		}
	}
	if known != nil && known.direct {
		a.doubt.Backend = known.backend
	}
	if a.method == Auto && known != nil {
		a.method = a.db.methodFor(known)
	}
	if a.known = known; known == nil {
		known = a.w.known // READ ONLY: it is not worth a question
	}
	if a.late(known) && a.beginLate(ctx) == nil {
		return perdure.Judgement{}, nil
	}
	if j, err := a.beginNow(ctx); err != nil {
		return j, err
	}
	a.open(ctx)
	return perdure.Judgement{}, nil
}

// open makes the handle of a transaction that has begun, or will by itself.
func (a *attempt) open(ctx context.Context) {
	a.sql = a.commitSQL()
	a.h = newHandle(open(ctx, a.conn.Conn(), a.sql))
}

// beginNow sends BEGIN and waits for the answer.
func (a *attempt) beginNow(ctx context.Context) (perdure.Judgement, error) {
	known := a.known
	sql, err := a.beginSQL(known)
	if err != nil {
		j := adapter.Never("")
		if isMissing(err) {
			j.Hint = outcome.HintMigrate
		}
		return j, err
	}
	rows, _, err := simple(ctx, a.pc, sql)
	if err == nil {
		err = a.begun(known, rows)
	}
	if err != nil {
		return a.beginFailed(ctx, err)
	}
	a.tags = a.w.tags.now()
	return perdure.Judgement{}, nil
}

// beginFailed judges an error before fn: nothing has happened.
func (a *attempt) beginFailed(ctx context.Context, err error) (perdure.Judgement, error) {
	v, err := a.db.lost(ctx, a.w, err)
	if !a.pc.IsClosed() && a.pc.TxStatus() != 'I' {
		a.rollback(ctx)
	}
	if a.h != nil {
		a.h.done = true
	}
	j := adapter.Safe(v)
	if a.once != nil && isMissing(err) {
		a.db.relearn()
		j.Hint = outcome.HintMigrate
	}
	return j, err
}

// ready reports why a transaction whose function returned nil cannot be committed.
func (a *attempt) ready(ctx context.Context) (perdure.Judgement, error) {
	if !a.h.rolled {
		_ = a.beginEarly(ctx) // the function has sent nothing
	}
	if j, err := a.begunLate(ctx); err != nil {
		return j, err
	}
	switch {
	case a.h.rolled:
		return adapter.Never("return an error to roll back"), pgx.ErrTxClosed
	case a.pc.IsClosed():
		v, err := a.db.lost(ctx, a.w, pgconn.ErrConnClosed)
		return adapter.Safe(v), err
	case a.pc.IsBusy():
		a.abandon(ctx)
		return adapter.Never("close all rows and batches before the function returns"),
			errors.New("perdurepgx: the function left a result open")
	case a.pc.TxStatus() == 'I', a.w.tags.now().commits != a.tags.commits:
		a.rollback(ctx)
		return adapter.Never(hintEnded), errEndedInside
	case a.pc.TxStatus() == 'E':
		err := a.aborted()
		a.rollback(ctx)
		return adapter.Safe(a.db.verdict(err)), err
	case ctx.Err() != nil:
		a.rollback(ctx)
		return adapter.Safe(pgerr.Verdict{}), context.Cause(ctx)
	}
	return a.still(ctx)
}

const hintEnded = "do not send COMMIT or ROLLBACK as a statement"

// still asks whether the transaction is the one that was begun, if its function
// has sent what may have changed that: a ROLLBACK may have been AND CHAIN, and a
// SET may have made a transaction writable whose loss would be taken lightly.
func (a *attempt) still(ctx context.Context) (perdure.Judgement, error) {
	now := a.w.tags.now()
	writable := a.readOnly() && now.sets != a.tags.sets
	other := a.doubt.XID != 0 && now.rollbacks != a.tags.rollbacks
	if !writable && !other {
		return perdure.Judgement{}, nil
	}
	a.w.bound(beginWait)
	defer a.w.unbound()
	rows, _, err := simple(ctx, a.pc, "select current_setting('transaction_read_only'), coalesce(pg_current_xact_id_if_assigned()::text, '0')")
	if err != nil {
		return a.beginFailed(ctx, err)
	}
	switch {
	case writable && rows[0][0] != "on":
		a.rollback(ctx)
		return adapter.Never("do not make an op ReadOnly whose work writes"), errMadeWritable
	case other && rows[0][1] != strconv.FormatUint(a.doubt.XID, 10):
		a.rollback(ctx)
		return adapter.Never(hintEnded), errEndedInside
	}
	return perdure.Judgement{}, nil
}

// abortedError is the error of a transaction that was aborted by a statement
// whose error the function kept to itself.
type abortedError struct{ err error }

func (e *abortedError) Error() string   { return e.Describe(error.Error) }
func (e *abortedError) Unwrap() []error { return []error{pgx.ErrTxCommitRollback, e.err} }

// Describe makes it a redact.Describer.
func (e *abortedError) Describe(text func(error) string) string {
	return pgx.ErrTxCommitRollback.Error() + ": " + text(e.err)
}

// aborted returns why the transaction is in state E.
func (a *attempt) aborted() error {
	if a.w.txErr == nil {
		return pgx.ErrTxCommitRollback
	}
	return &abortedError{err: a.w.txErr}
}

const sqlStateAborted = "25P02"

// failed rolls back after fn returned an error, and judges it. 25P02 only
// repeats that something went wrong before: what aborted the transaction decides.
func (a *attempt) failed(ctx context.Context, err error) (perdure.Judgement, error) {
	if j, cause := a.begunLate(ctx); cause != nil {
		return j, cause
	}
	ended := a.w.tags.now().commits != a.tags.commits ||
		!a.pc.IsClosed() && !a.pc.IsBusy() && a.pc.TxStatus() == 'I' && !a.h.rolled && !a.w.late.is(lateWaiting)
	v := a.db.verdict(err)
	if v.SQLState == sqlStateAborted && a.w.txErr != nil {
		v = a.db.verdict(a.w.txErr)
	}
	if a.pc.IsClosed() && (v.Category == pgerr.CategoryConnection || v.Category == pgerr.CategoryTimeout || errors.Is(err, pgconn.ErrConnClosed)) {
		v, err = a.db.lost(ctx, a.w, err)
	}
	a.rollback(ctx)
	v = adapter.ReadOnly(a.db.m, v, a.readOnly())
	if ended {
		return perdure.Judgement{Verdict: v, Repeat: perdure.RepeatByOp, Hint: hintEnded}, err
	}
	return adapter.Safe(v), err
}

// rollback ends the transaction. If that does not work, the connection is
// closed, and the server does it.
func (a *attempt) rollback(ctx context.Context) {
	if a.h != nil {
		a.h.done = true
		if a.h.rolled {
			return
		}
	}
	if a.unsent() {
		a.w.late.forget() // there is nothing to roll back
		return
	}
	if a.pc.IsClosed() || a.pc.IsBusy() {
		a.abandon(ctx)
		return
	}
	ctx = context.WithoutCancel(ctx)
	conn := a.pc.Conn()
	_ = conn.SetDeadline(time.Now().Add(rollbackWait))
	var err error
	if a.h != nil {
		err = a.h.Tx.Rollback(ctx)
	} else {
		_, _, err = simple(ctx, a.pc, "rollback")
	}
	if err != nil || a.pc.IsClosed() {
		a.abandon(ctx)
		return
	}
	_ = conn.SetDeadline(time.Time{})
}

// abandon closes the connection without waiting for anything.
func (a *attempt) abandon(ctx context.Context) {
	if a.h != nil {
		a.h.done = true
	}
	if a.unsent() {
		a.w.late.forget()
		a.conn.Release()
		return
	}
	a.w.cut()
	if !a.pc.IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWait)
		defer cancel()
		_ = a.pc.Close(ctx)
	}
	a.conn.Release()
}

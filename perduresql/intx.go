package perduresql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/pgerr"
)

// InTx runs fn in a transaction and commits it. The whole of it, fn included,
// is repeated under op's policy when the server rolled it back, or when the
// connection broke before COMMIT was written: nothing of the attempt remains
// then, so op need not be Idempotent. A COMMIT whose reply is lost is resolved:
// committed is success, aborted is a repeat, and what cannot be proven is an
// *[perdure.Error] with ReasonOutcomeUnknown. Nil opts are the defaults.
//
// fn must keep to its ctx and its tx, and have no other effects that a repeat
// would double. An error that it returns rolls back; a permanent one comes back
// untouched. A panic rolls back and goes on up. Work with another connection
// inside fn runs, but is not repeated. An op that is ReadOnly runs in a READ
// ONLY transaction.
//
// While COMMIT is pending, and while its outcome is looked into, the end of
// ctx is not heeded: both have limits of their own, see [Config].
func (db *DB) InTx(ctx context.Context, op perdure.Op, opts *sql.TxOptions, fn func(ctx context.Context, tx *sql.Tx) error) error {
	var o sql.TxOptions
	if opts != nil {
		o = *opts
	}
	return db.inTx(ctx, op, o, db.cfg.Outcome, fn)
}

func (db *DB) inTx(ctx context.Context, op perdure.Op, opts sql.TxOptions, method Outcome, fn func(ctx context.Context, tx *sql.Tx) error) error {
	if db.m.InTransaction(ctx) {
		return errNested
	}
	if op.ReadOnly {
		opts.ReadOnly = true
	}
	return db.m.Guarded(ctx, op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		t := &txn{db: db, op: &op, method: method, opts: opts}
		return t.run(ctx, fn)
	})
}

// run is an attempt of an InTx or a Once.
func (t *txn) run(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) (perdure.Judgement, error) {
	var j perdure.Judgement
	var err error
	t.inside, t.ctx, t.ended = true, ctx, make(chan struct{})
	if t.h, j, err = t.db.acquire(ctx, t.op); err != nil {
		return j, err
	}
	t.db.open.Add(1)
	defer t.db.open.Done()
	defer t.settle()
	finished := false
	defer func() {
		if !finished { // a panic, or the end of the goroutine
			if t.h.broken.Load() {
				t.adopt(ctx)
			}
			t.giveBack()
		}
	}()
	j, err = t.body(ctx, fn)
	finished = true
	t.h.turn.End(err != nil && ctx.Err() != nil)
	if t.doubt.Err != nil {
		return t.resolve(ctx)
	}
	if err != nil && t.h.broken.Load() {
		// The server may not know, and the repeat would wait for its locks.
		t.adopt(ctx)
	}
	t.giveBack()
	return j, err
}

func (t *txn) adopt(ctx context.Context) { t.db.resolver.Adopt(ctx, t.doubt.Backend) }

// body runs the transaction. If it leaves a doubt, it is in t.doubt.
func (t *txn) body(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) (perdure.Judgement, error) {
	if j, err := t.begin(ctx); err != nil {
		return j, err
	}
	if t.once != nil && t.once.remembered {
		return t.confirm(ctx)
	}
	tx, err := t.db.BeginTx(context.WithValue(ctx, txnKey{}, t), &t.opts)
	if err != nil { // it was not given out
		t.undo(ctx)
		return adapter.Safe(t.db.verdict(nil, err)), adapter.WithCause(ctx, err)
	}
	defer t.end(tx)
	err = fn(t.db.m.WithTransaction(ctx), tx)
	if err != nil {
		return t.failed(ctx, tx, err)
	}
	select {
	case <-t.ended: // by fn, or by database/sql because ctx has ended
		switch {
		case t.err != nil:
			return t.j, t.err
		case ctx.Err() != nil:
			return adapter.Safe(pgerr.Verdict{}), context.Cause(ctx)
		}
		return adapter.Never("return an error to roll back"), sql.ErrTxDone
	default:
	}
	if ctx.Err() != nil {
		return adapter.Safe(pgerr.Verdict{}), context.Cause(ctx)
	}
	t.final = true
	err = tx.Commit()
	<-t.ended
	if t.err == nil && err != nil { // database/sql did not let it begin: ctx has ended
		return adapter.Safe(pgerr.Verdict{}), adapter.WithCause(ctx, err)
	}
	return t.j, t.err
}

// failed rolls back after fn returned an error, and judges it.
func (t *txn) failed(ctx context.Context, tx *sql.Tx, err error) (perdure.Judgement, error) {
	t.end(tx)
	if t.err != nil { // fn called Commit
		return t.j, t.err
	}
	if errors.Is(err, sql.ErrTxDone) {
		err = adapter.WithCause(ctx, err)
	}
	return t.judgeFailed(ctx, err)
}

// end rolls tx back if it is open, and waits until database/sql has done with it:
// it may be at it by itself, because ctx has ended.
func (t *txn) end(tx *sql.Tx) {
	_ = tx.Rollback()
	<-t.ended
}

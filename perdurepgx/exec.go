package perdurepgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/pgerr"
)

// Exec runs a statement as pgx does, guarded. It is repeated when the server
// refused it, or when nothing of it was written; after a lost connection only
// if its op is Idempotent or ReadOnly. CALL, DO and several statements in one
// string may have committed in part: they are repeated only by their op.
//
// The op is the one of [perdure.WithOp], else the one in Config.Ops that the
// statement's "-- name: X" header names, else one named by verb and table.
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	op, plain := db.names.Statement(ctx, sql)
	var tag pgconn.CommandTag
	err := db.m.Guarded(ctx, *op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		conn, w, j, err := db.acquire(ctx, op)
		if err != nil {
			return j, err
		}
		defer conn.Release()
		before := w.app.Load()
		tag, err = conn.Exec(ctx, sql, args...)
		if err == nil {
			return w.done()
		}
		return db.judge(ctx, conn.Conn(), w, w.app.Load() == before, plain, err)
	})
	return tag, err
}

// judge judges a statement that failed outside a transaction.
func (db *DB) judge(ctx context.Context, conn *pgx.Conn, w *wire, unsent, plain bool, err error) (perdure.Judgement, error) {
	w.turn.End(ctx.Err() != nil)
	e, answered := errors.AsType[*pgconn.PgError](err)
	if answered && !isNotice(e) {
		v := adapter.ReadOnly(db.m, db.verdict(err), false)
		err = adapter.WithCause(ctx, err)
		if refused(e) && plain && v.Effect == pgerr.EffectNone {
			return adapter.Safe(v), err
		}
		return perdure.Judgement{Verdict: v}, err
	}
	if !conn.IsClosed() {
		// An error of the driver or of the caller's own types: no repeat helps.
		return perdure.Judgement{Verdict: db.verdict(err)}, err
	}
	v, err := db.lost(ctx, w, err)
	if unsent {
		v.Effect = pgerr.EffectNone
		return adapter.Safe(v), err
	}
	return perdure.Judgement{Verdict: v}, err
}

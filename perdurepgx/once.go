package perdurepgx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
)

// Once runs fn in a transaction, exactly once for key: the key is written in
// the same transaction, so that it is there if and only if the effects are.
// Whoever comes with the same key later, in any process and after any crash,
// does not run fn and gets the result that fn returned, as JSON kept it. One
// that comes at the same time waits, for Config.TwinTimeout an attempt. Whether
// fn was run or its result remembered is told to the CommitOutcome hook.
//
// Apart from that Once is [DB.InTx]: it repeats, commits and resolves in the
// same way. It needs the table that [DB.Migrate] creates, also under Token.
// Keys have 1 to 1,024 bytes and are kept until [DB.Forget]. A result is kept as
// jsonb, which cannot hold a zero character in a string (22P05, at COMMIT) and
// makes 0 of -0. Inside a transaction, and so inside another Once, it is an error.
func Once[T any](ctx context.Context, db *DB, op perdure.Op, key string, fn func(ctx context.Context, tx pgx.Tx) (T, error)) (T, error) {
	var out T
	if err := outcome.CheckKey(key); err != nil {
		return out, err
	}
	op.ReadOnly = false
	var last *once
	err := db.onceTx(ctx, op, key, func(o *once) func(ctx context.Context, tx pgx.Tx) error {
		last = o
		return func(ctx context.Context, tx pgx.Tx) error {
			v, err := fn(ctx, tx)
			if err != nil {
				return err
			}
			if o.result, err = json.Marshal(v); err != nil {
				return fmt.Errorf("result of %s: %w", key, err)
			}
			out = v
			return nil
		}
	})
	if err != nil {
		var zero T
		return zero, err
	}
	if !last.remembered {
		return out, nil
	}
	var remembered T
	if err := json.Unmarshal(last.result, &remembered); err != nil {
		var zero T
		return zero, fmt.Errorf("remembered result of %s: %w", key, err)
	}
	return remembered, nil
}

// once is what an attempt of a Once knows.
type once struct {
	key        string
	remembered bool
	result     []byte // JSON
}

// onceTx runs what work returns as InTx does; work is called for each attempt.
func (db *DB) onceTx(ctx context.Context, op perdure.Op, key string,
	work func(o *once) func(ctx context.Context, tx pgx.Tx) error,
) error {
	if db.m.InTransaction(ctx) {
		return errNested
	}
	began := time.Now()
	var o *once
	err := db.m.Guarded(ctx, op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		o = &once{key: key}
		a := attempt{db: db, op: &op, method: Marker, once: o}
		return a.run(ctx, work(o))
	})
	if err == nil {
		e := perdure.OutcomeEvent{Op: op.Name, Key: key, Resolution: perdure.Run, Method: Marker.String(), Took: time.Since(began)}
		if o.remembered {
			e.Resolution = perdure.Remembered
		}
		db.m.CommitOutcome(ctx, e)
	}
	return err
}

// errCutInTwo is the error of a key without a result, which is kept with COMMIT.
var errCutInTwo = errors.New("perdurepgx: the work of this key ended its transaction with a COMMIT of its own: " +
	"some of it may be missing; look, and forget the key to do it again")

// beginSQL takes the key. The wait for a twin has a limit of its own: the
// statement_timeout of the role or session is for the function's statements.
func (o *once) beginSQL(pc *pgconn.PgConn, id outcome.UUID, wait time.Duration) (string, error) {
	key, err := pc.EscapeString(o.key)
	if err != nil {
		return "", err
	}
	return "select set_config('perdure.statement_timeout', current_setting('statement_timeout'), true), set_config('statement_timeout', '0', true); " +
		"select run, xid, result from perdure.begin_once('" + key + "', '" + id.String() + "', " +
		strconv.FormatInt(max(wait.Milliseconds(), 1), 10) + "); " +
		"select set_config('statement_timeout', current_setting('perdure.statement_timeout'), true)", nil
}

// begun reads whether the key was free.
func (o *once) begun(d *outcome.Doubt, rows [][]string) error {
	if len(rows) != 3 || len(rows[1]) != 3 {
		return errors.New("perdurepgx: the server did not answer whether the key is free")
	}
	row := rows[1]
	xid, err := strconv.ParseUint(row[1], 10, 64)
	if err != nil {
		return err
	}
	d.XID = xid
	if row[0] != "t" {
		o.remembered = true
		o.result = []byte(row[2])
		if len(o.result) == 0 {
			return errCutInTwo
		}
	}
	return nil
}

// confirm ends the transaction of a Once whose work is done already. It commits:
// a key that can be seen may not have reached the synchronous standbys, and this
// COMMIT is acknowledged only after it.
func (a *attempt) confirm(ctx context.Context) (perdure.Judgement, error) {
	err := a.send(ctx, a.h.Tx)
	a.h.done = true
	if a.w.takeUnreplicated() {
		err = outcome.ErrUnreplicated
	}
	if err == nil {
		return perdure.Judgement{}, nil
	}
	if a.w.committing.Load() {
		a.w.cut()
	}
	v, err := a.db.lost(ctx, a.w, err)
	return adapter.Safe(v), err
}

// commitSQL keeps the result and commits.
func (o *once) commitSQL(pc *pgconn.PgConn, id outcome.UUID) (string, error) {
	result, err := pc.EscapeString(string(o.result))
	if err != nil {
		return "", err
	}
	return "select perdure.end_once('" + id.String() + "', '" + result + "'); commit", nil
}

package perduresql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

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
// Keys have 1 to 1,024 bytes and are kept until [DB.Forget]; they are the same
// as perdurepgx's. A result is kept as jsonb, which cannot hold a zero character
// in a string (22P05, at COMMIT) and makes 0 of -0. Inside a transaction, and so
// inside another Once, it is an error.
func Once[T any](ctx context.Context, db *DB, op perdure.Op, key string, fn func(ctx context.Context, tx *sql.Tx) (T, error)) (T, error) {
	var out T
	if err := outcome.CheckKey(key); err != nil {
		return out, err
	}
	op.ReadOnly = false
	var last *once
	err := db.onceTx(ctx, op, key, func(o *once) func(ctx context.Context, tx *sql.Tx) error {
		last = o
		return func(ctx context.Context, tx *sql.Tx) error {
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
func (db *DB) onceTx(ctx context.Context, op perdure.Op, key string, work func(o *once) func(ctx context.Context, tx *sql.Tx) error) error {
	if db.m.InTransaction(ctx) {
		return errNested
	}
	began := time.Now()
	var o *once
	err := db.m.Guarded(ctx, op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		o = &once{key: key}
		t := &txn{db: db, op: &op, method: Marker, once: o}
		return t.run(ctx, work(o))
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
var errCutInTwo = errors.New("perduresql: the work of this key ended its transaction with a COMMIT of its own: " +
	"some of it may be missing; look, and forget the key to do it again")

// begin begins the transaction and takes the key. The wait for a twin has a limit
// of its own: the statement_timeout of the role or session is for the function's
// statements.
func (o *once) begin(ctx context.Context, t *txn, begin string) error {
	const restore = "set_config('statement_timeout', current_setting('perdure.statement_timeout'), true)"
	twin := t.db.cfg.TwinTimeout
	wait := strconv.FormatInt(max(twin.Milliseconds(), 1), 10)
	id := t.doubt.ID.String()
	begin += "; select set_config('perdure.statement_timeout', current_setting('statement_timeout'), true), set_config('statement_timeout', '0', true)"
	ask := func(key, id, wait string) string {
		return "select o.run, o.xid, o.result::text, " + restore +
			" from perdure.begin_once(" + key + "::text, " + id + "::text::uuid, " + wait + "::text::integer) o"
	}
	rows, ok, err := t.h.all(ctx, askWait+twin, begin+"; "+ask(literal(o.key), "'"+id+"'", "'"+wait+"'"))
	switch {
	case ok && len(rows) > 0:
		rows = rows[1:] // of what begin asked
	case !ok:
		if err = t.h.tell(ctx, askWait, begin); err == nil {
			rows, err = t.h.ask(ctx, askWait+twin, ask("$1", "$2", "$3"), o.key, id, wait)
		}
	}
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != 4 {
		return errors.New("perduresql: the server did not answer whether the key is free")
	}
	row := rows[0]
	if t.doubt.XID, err = strconv.ParseUint(row[1], 10, 64); err != nil {
		return err
	}
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
func (t *txn) confirm(ctx context.Context) (perdure.Judgement, error) {
	err := t.send(ctx)
	t.done = true
	if w := t.h.w; w != nil && w.unreplicated.Swap(false) {
		err = outcome.ErrUnreplicated
	}
	if err == nil {
		return perdure.Judgement{}, nil
	}
	t.h.broken.Store(true)
	v, err := t.db.lost(ctx, t.h.link, err)
	return adapter.Safe(v), err
}

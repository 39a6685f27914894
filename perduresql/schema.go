package perduresql

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/outcome"
)

// Migrate creates or updates schema perdure: the table perdure.outcome and the
// functions that Marker, [Once] and [DB.Forget] use. It is the schema of
// perdurepgx, and a program may use both. It may be called by many processes at
// the same time and does nothing if the schema is up to date.
//
// The functions are SECURITY DEFINER and may be used by every role of the
// database, except perdure.forget, which is its owner's; revoke usage on the
// schema from public to narrow that. Where the schema is up to date, any role
// may call Migrate.
func (db *DB) Migrate(ctx context.Context) error {
	op := perdure.Op{Name: "perdure.migrate", Idempotent: true}
	// Whatever the role's defaults are: after its wait for the lock it must see
	// what the last holder did.
	err := db.inTx(ctx, op, sql.TxOptions{Isolation: sql.LevelReadCommitted}, Token, migrate)
	db.relearn()
	if err != nil {
		return fmt.Errorf("perdure schema: %w", err)
	}
	return db.ask(ctx)
}

func migrate(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, outcome.LockSQL); err != nil {
		return err
	}
	have := 0
	var exists bool
	if err := tx.QueryRowContext(ctx, outcome.ThereSQL).Scan(&exists); err != nil {
		return err
	}
	if exists {
		if err := tx.QueryRowContext(ctx, outcome.VersionSQL).Scan(&have); err != nil {
			return err
		}
	} else if _, err := tx.ExecContext(ctx, outcome.CreateSQL); err != nil {
		return err
	}
	versions := outcome.Schema()
	for v := have; v < len(versions); v++ {
		if _, err := tx.ExecContext(ctx, versions[v]); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "insert into perdure.version (version) values ($1)", v+1); err != nil {
			return err
		}
	}
	return nil
}

// ask learns from the server how outcomes are resolved.
func (db *DB) ask(ctx context.Context) error {
	op := perdure.Op{Name: "perdure.ask"}
	h, _, err := db.acquire(ctx, &op)
	if err != nil {
		return err
	}
	defer h.release()
	_, err = db.learn(ctx, h.link)
	return h.hide(ctx, err)
}

// Forget deletes the keys of [Once], so that their work may be done again. It
// returns how many there were. It is for the role that ran [DB.Migrate]; to let
// another do it, grant execute on function perdure.forget.
func (db *DB) Forget(ctx context.Context, keys ...string) (int64, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	quoted := make([]string, len(keys))
	for i, key := range keys {
		if err := outcome.CheckKey(key); err != nil {
			return 0, err
		}
		quoted[i] = literal(key)
	}
	var n int64
	op := perdure.Op{Name: "perdure.forget", Idempotent: true}
	err := db.InTx(ctx, op, nil, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "select perdure.forget(array["+strings.Join(quoted, ",")+"])").Scan(&n)
	})
	return n, err
}

// prune deletes old markers, a few at a time, until none is left; other
// processes do the same.
func (db *DB) prune() {
	ctx, cancel := context.WithTimeout(db.base, pruneWait)
	defer cancel()
	op := perdure.Op{Name: "perdure.prune"}
	keep := strconv.FormatInt(int64(db.cfg.Retention.Seconds()), 10)
	for {
		// The connection goes back each time: callers may wait for it.
		h, _, err := db.acquire(ctx, &op)
		if err != nil {
			return // another time
		}
		rows, err := h.ask(ctx, pruneWait, "select perdure.prune(interval '"+keep+" seconds')::text")
		h.release()
		if err != nil || len(rows) != 1 || rows[0][0] == "0" {
			return
		}
		select {
		case <-db.closed:
			return
		default:
		}
	}
}

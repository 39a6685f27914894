package perdurepgx

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/outcome"
)

// Migrate creates or updates schema perdure: the table perdure.outcome and the
// functions that Marker, [Once] and [DB.Forget] use. It may be called by many
// processes at the same time and does nothing if the schema is up to date.
//
// The functions are SECURITY DEFINER and may be used by every role of the
// database, except perdure.forget, which is its owner's; revoke usage on the
// schema from public to narrow that. Where the schema is up to date, any role
// may call Migrate.
func (db *DB) Migrate(ctx context.Context) error {
	op := perdure.Op{Name: "perdure.migrate", Idempotent: true}
	// Whatever the role's defaults are: after its wait for the lock it must see
	// what the last holder did, and it writes.
	opts := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	err := db.inTx(ctx, op, opts, Token, func(ctx context.Context, tx pgx.Tx) error {
		return migrate(ctx, tx)
	})
	db.relearn()
	if err != nil {
		return fmt.Errorf("perdure schema: %w", err)
	}
	return db.ask(ctx)
}

func migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, outcome.LockSQL); err != nil {
		return err
	}
	have := 0
	var exists bool
	if err := tx.QueryRow(ctx, outcome.ThereSQL).Scan(&exists); err != nil {
		return err
	}
	if exists {
		if err := tx.QueryRow(ctx, outcome.VersionSQL).Scan(&have); err != nil {
			return err
		}
	} else if _, err := tx.Exec(ctx, outcome.CreateSQL); err != nil {
		return err
	}
	versions := outcome.Schema()
	for v := have; v < len(versions); v++ {
		if _, err := tx.Exec(ctx, versions[v]); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "insert into perdure.version (version) values ($1)", v+1); err != nil {
			return err
		}
	}
	return nil
}

// Forget deletes the keys of [Once], so that their work may be done again. It
// returns how many there were. It is for the role that ran [DB.Migrate]; to let
// another do it, grant execute on function perdure.forget.
func (db *DB) Forget(ctx context.Context, keys ...string) (int64, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	var n int64
	op := perdure.Op{Name: "perdure.forget", Idempotent: true}
	err := db.InTx(ctx, op, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select perdure.forget($1)", keys).Scan(&n)
	})
	return n, err
}

package perdurepgx

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
)

//go:embed schema.sql
var schemaV1 string

// schema returns the versions of perdure's schema, in order.
func schema() []string { return []string{schemaV1} }

// migrateLock is the advisory lock that lets one migration run at a time.
const migrateLock = 7310593

// hintMigrate is for errors that the missing table causes.
const hintMigrate = "create perdure's table with db.Migrate, as a role that may create a schema"

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
	// The lock comes first: what follows must see what its last holder did.
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", migrateLock); err != nil {
		return err
	}
	have := 0
	const there = "select exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace " +
		"where n.nspname = 'perdure' and c.relname = 'version')"
	var exists bool
	if err := tx.QueryRow(ctx, there).Scan(&exists); err != nil {
		return err
	}
	if exists {
		if err := tx.QueryRow(ctx, "select coalesce(max(version), 0) from perdure.version").Scan(&have); err != nil {
			return err
		}
	} else if _, err := tx.Exec(ctx, "create schema if not exists perdure; "+
		"create table perdure.version (version integer primary key, at timestamptz not null default now()); "+
		"grant usage on schema perdure to public; grant select on perdure.version to public"); err != nil {
		return err
	}
	versions := schema()
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

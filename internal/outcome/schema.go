package outcome

import _ "embed"

//go:embed schema.sql
var schemaV1 string

//go:embed schema_v2.sql
var schemaV2 string

// Schema returns the versions of perdure's schema, in order.
func Schema() []string { return []string{schemaV1, schemaV2} }

// MigrateLock is the advisory lock that lets one migration run at a time.
const MigrateLock = "7310593"

// The statements of a migration, in this order; all in one transaction.
const (
	// LockSQL comes first: what follows must see what its last holder did.
	LockSQL = "select pg_advisory_xact_lock(" + MigrateLock + ")"
	// ThereSQL asks whether perdure.version is there; if not, CreateSQL makes it.
	ThereSQL = "select exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace " +
		"where n.nspname = 'perdure' and c.relname = 'version')"
	CreateSQL = "create schema if not exists perdure; " +
		"create table perdure.version (version integer primary key, at timestamptz not null default now()); " +
		"grant usage on schema perdure to public; grant select on perdure.version to public"
	// VersionSQL asks which version is there.
	VersionSQL = "select coalesce(max(version), 0) from perdure.version"
)

package outcome

import "fmt"

// Incarnation names one uninterrupted life of a server. A crash discards the
// statistics, so that both reset times change; a promotion changes the timeline.
type Incarnation struct {
	system   string // system identifier
	timeline string
	started  string // start of the postmaster
	walReset string // pg_stat_wal.stats_reset
	bgReset  string // stats_reset of the checkpointer's statistics
}

// same reports whether xids mean the same in both. A clean restart keeps the
// statistics, and with them the identity: no xid is handed out twice.
func (i Incarnation) same(o Incarnation) bool {
	return i.system != "" && i.system == o.system && i.timeline == o.timeline && i.walReset != "" && i.walReset == o.walReset
}

// String describes the incarnation for a log line.
func (i Incarnation) String() string {
	return fmt.Sprintf("system %s, timeline %s, started %s, no crash since %s", i.system, i.timeline, i.started, i.walReset)
}

// IncarnationSQL is five columns. Every role may read them.
func IncarnationSQL(version int) string {
	wal, checkpoints := "pg_stat_wal", "pg_stat_bgwriter"
	if version < 14 {
		wal = "pg_stat_bgwriter"
	}
	if version >= 17 {
		checkpoints = "pg_stat_checkpointer"
	}
	return "(select system_identifier from pg_control_system()), " +
		"case when pg_is_in_recovery() then '' else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end, " +
		"extract(epoch from pg_postmaster_start_time()), " +
		"(select extract(epoch from stats_reset) from " + wal + "), " +
		"(select extract(epoch from stats_reset) from " + checkpoints + ")"
}

// IncarnationColumns is how many columns IncarnationSQL has.
const IncarnationColumns = 5

// IncarnationOf reads what IncarnationSQL asked for.
func IncarnationOf(row []string) Incarnation {
	return Incarnation{system: row[0], timeline: row[1], started: row[2], walReset: row[3], bgReset: row[4]}
}

// XIDSQL gives the transaction its xid and returns it.
const XIDSQL = "select pg_catalog.pg_current_xact_id()"

// MarkSQL is what perdure.mark does in the common case, for an adapter that
// prepares it: it writes the marker $1 if the transaction has changed something,
// here or in another server. In a transaction that is READ ONLY it is an error.
const MarkSQL = "insert into perdure.outcome (attempt, level) select $1, pg_catalog.current_setting('synchronous_commit') " +
	"where pg_catalog.pg_current_xact_id_if_assigned() is not null or exists (select from pg_catalog.pg_foreign_server)"

// InsertSQL asks whether MarkSQL may be used, which version 1 of the schema does not allow.
const InsertSQL = "(select coalesce(bool_and(has_schema_privilege(c.relnamespace, 'usage') " +
	"and has_column_privilege(c.oid, 'attempt', 'insert') and has_column_privilege(c.oid, 'level', 'insert')), false) " +
	"from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'perdure' and c.relname = 'outcome')"

// MarkerSQL asks whether perdure's functions are there and may be used: in
// the catalogue, since a name in a schema that may not be used is an error.
const MarkerSQL = "(select count(distinct p.proname) = 3 from pg_proc p join pg_namespace n on n.oid = p.pronamespace " +
	"where n.nspname = 'perdure' and p.proname in ('mark', 'resolve', 'begin_once') " +
	"and has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute'))"

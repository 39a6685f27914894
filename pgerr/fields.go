package pgerr

import "strings"

// Fields holds what an error of the server says about itself, in the fields of
// the protocol's ErrorResponse. Adapters fill it from their driver's error.
type Fields struct {
	// SQLState is the five-character code (field C).
	SQLState string
	// Severity is the unlocalised severity (field V): ERROR, FATAL or PANIC in
	// an error, WARNING and below in a notice. Field S is translated by the
	// server (ERREUR) and must not be passed here. Empty means not known; then
	// the code decides alone.
	Severity string
	// Routine is the function of the server's source that raised it (field R).
	Routine string
	// Message is the primary message (field M). It is compared with the few
	// English texts that ClassifyFields lists; a translated one simply does
	// not match, and the code decides alone.
	Message string
}

// The severities that change a verdict.
const (
	severityError = "ERROR"
	severityFatal = "FATAL"
	severityPanic = "PANIC"
)

// ClassifyFields says what an error of the server means. The code decides, by
// the table that [All] returns; a code that the table lacks is judged by its
// class, the first two characters. These refine it:
//
//   - 08xxx with severity ERROR comes from postgres_fdw or dblink and speaks of
//     another server: category foreign, rolled back here, evidence for nobody.
//     A remote server that could not be reached (08001, 08004) is worth a later
//     try; any other is never repeated, the remote may have done its part.
//     08007 stays in doubt. 08P01 is no remote's: an ERROR is a driver that
//     broke the protocol (never repeated), and FATAL with PgBouncer's
//     "query_wait_timeout" or "no more connections allowed" means that nothing
//     ran: come back later.
//   - 0A000 of routine RevalidateCachedQuery is a cached plan that DDL made
//     stale: the statement may be sent again.
//   - 55000 "recovery is in progress" is a standby: read-only, reconnect.
//   - 57014 "due to user request" is a cancel that somebody asked for: category
//     canceled, not repeated. A caller whose own time limit sent the cancel
//     knows better, and passes no Message: then it is a timeout.
//   - 58P01 of routine internal_load_library is a missing extension library:
//     configuration, not a broken disk.
//   - Severity PANIC takes the whole server down, maybe between the commit
//     record and its reply: critical, effect unknown, evidence for the
//     database, whatever the code.
//
// Three verdicts cannot be refined here, since the fields do not hold what
// decides. 25006 is evidence only after a look at the server: the transaction
// may have been declared READ ONLY. 25P02 judges no transaction: the error
// before it does. And after CALL, DO or several statements in one string, an
// earlier part may be committed although the effect of the failed one is none.
//
// A SQLState that is not five of [0-9A-Z] gives the verdict of an error that
// nobody knows, as [Classify] describes it. ClassifyFields does not allocate
// and may be called concurrently.
func ClassifyFields(f Fields) (v Verdict) {
	if !isSQLState(f.SQLState) {
		return unknown()
	}
	v.byCode(f.SQLState)
	switch f.SQLState[:2] {
	case "08":
		v = refineConnection(v, f)
	case "0A":
		if f.SQLState == "0A000" && f.Routine == "RevalidateCachedQuery" {
			v.Retry = RetryStatement
		}
	case "55":
		if f.SQLState == "55000" && strings.HasPrefix(f.Message, "recovery is in progress") {
			v.Category, v.Severity, v.Retry, v.Trips = CategoryReadOnly, SeverityHigh, RetryReconnect, ScopeDatabase
		}
	case "57":
		if f.SQLState == "57014" && strings.HasSuffix(f.Message, "due to user request") {
			v.Category, v.Severity, v.Retry, v.Trips = CategoryCanceled, SeverityLow, RetryNever, ScopeNone
		}
	case "58":
		if f.SQLState == "58P01" && f.Routine == "internal_load_library" {
			v.Category, v.Severity, v.Trips = CategoryConfiguration, SeverityHigh, ScopeNone
		}
	}
	if f.Severity == severityPanic {
		v.Severity, v.Effect, v.Trips = SeverityCritical, EffectUnknown, ScopeDatabase
	}
	return v
}

// byCode makes v the verdict by the code alone, which must be well formed.
func (v *Verdict) byCode(code string) {
	if i := find(code); i >= 0 {
		table[i].verdict(v)
	} else {
		*v = classVerdict(code)
	}
}

// refineConnection tells the three voices of class 08 apart: this session's
// end, a remote server behind postgres_fdw or dblink, and a pooler.
func refineConnection(v Verdict, f Fields) Verdict {
	switch {
	case f.SQLState == "08P01" && f.Severity == severityError:
		v.Retry, v.Effect, v.Trips = RetryNever, EffectNone, ScopeNone
	case f.SQLState == "08P01" && f.Severity == severityFatal && f.Message == "query_wait_timeout":
		v.Retry, v.Effect = RetryWait, EffectNone
	case f.SQLState == "08P01" && f.Severity == severityFatal && strings.HasPrefix(f.Message, "no more connections allowed"):
		// Like 53300, it says nothing about the connections already open.
		v.Retry, v.Effect, v.Trips = RetryWait, EffectNone, ScopeNone
	case f.SQLState != "08P01" && f.Severity == severityError:
		v.Category, v.Trips = CategoryForeign, ScopeNone
		v.Retry = RetryNever
		if f.SQLState == "08001" || f.SQLState == "08004" {
			v.Retry = RetryWait
		}
		if f.SQLState != "08007" {
			v.Effect = EffectNone
		}
	}
	return v
}

// Package perdurelog writes what a [perdure.Manager] does to a slog.Logger, as
// hooks: the core knows nothing of it, and who does not want it does not link
// it.
//
//	hooks := perdurelog.Hooks(logger, perdurelog.Config{Manager: "warehouse"})
//	m, err := perdure.New(perdure.Config{Name: "warehouse", Hooks: hooks})
//
// # Levels
//
// ERROR is for what somebody may have to look at, WARN for what is being dealt
// with, INFO for how it went, DEBUG for what is the caller's own affair:
//
//	ERROR  call gave up                its reason, and the hint for a person
//	ERROR  commit outcome unknown      neither committed nor aborted can be proven
//	WARN   circuit breaker opened      operation is "database" for the database's
//	WARN   call refused                by an open breaker
//	WARN   attempt failed              severity medium or above, or INFO if low
//	WARN   retry budget spent
//	INFO   circuit breaker changed     half-open, closed, held, released
//	INFO   call recovered              after a repeat
//	INFO   call canceled               by its caller
//	INFO   call parked, call released
//	INFO   commit resolved             committed or aborted, without a doubt left
//	DEBUG  attempt failed, call failed an error that no repeat can help, such as
//	                                   a constraint: the caller has it
//	DEBUG  attempt repeated            with the delay before it
//	DEBUG  once                        run, or remembered
//
// Nothing is said twice: the Manager's own Config.Logger writes what no hook
// tells, such as what a failed probe met. Give both the same logger.
//
// # Storms
//
// When a database is away, every call has something to say. Of each kind of
// line, for each operation and category or reason, the first [Config].Burst
// pass at once and then one each [Config].Every; the next line that passes says
// in "suppressed" how many did not. Changes of a breaker and outcomes that are
// unknown always pass. Snapshot and metrics count everything.
//
// # What is never written
//
// No SQL, no argument, and of an error neither message nor DETAIL: its
// SQLSTATE, the name of its condition, category and severity, or the words of
// an operating system's or perdure's own error.
//
// The key of a Once is written with a commit in doubt.
package perdurelog

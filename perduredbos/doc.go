// Package perduredbos runs pipelines on DBOS: a run outlives the process that
// began it. What ended is remembered in a SQLite database in a directory, or in a PostgreSQL of
// its own, and another process goes on from there.
//
// # How a run is kept
//
// One try of a run is one DBOS workflow, and the workflow is [pipeline.RunPlan] with an
// engine whose Next is a DBOS step: it begins the tasks that were handed to it, waits until at
// least one ends, and returns what ended as data, which DBOS stores before the run goes on. When
// another process goes on with the run, the stored steps come back in their order,
// the same decisions are made, and only what has no record is begun.
//
// A run that failed or was canceled is gone on with as a further try: a workflow of
// its own, to which the report of the try before is given.
//
// # Invariants
//
//   - Nothing is begun while the past is replayed: a task that has a record is never run again.
//   - One loop makes every DBOS call of a run, and the order of what ended is stored, never inferred.
//   - A failure of a task is data. The steps of DBOS do not fail; if one cannot be stored, the run is interrupted.
//   - A run has one owner. Who owns it is said by DBOS in the same transaction as each
//     record, so that a process which lost its run (frozen, taken over, thawed) can store nothing more and stops
//     with [ErrTakenOver].
//   - Whether an owner lives is a lock of the operating system or of PostgreSQL, which ends with its
//     process: never a guess by a clock.
//   - No process takes up another's runs by itself. Resume is asked for.
//   - Effects happen once although tasks may be begun twice: by their keys, see [pipeline.Key].
//   - Reading runs and canceling them makes no executor of a process.
package perduredbos

// Package perdurepgx puts a [perdure.Manager] in front of a pgx pool: guarded
// statements, transactions that are repeated whole, and effects that happen
// exactly once, also when the reply to a COMMIT is lost.
//
// What it keeps, whatever the server and the network do:
//
//  1. A COMMIT is written once, on the connection of its transaction. It is
//     never sent on another connection and never repeated.
//  2. A transaction is called rolled back only if an ERROR answered its COMMIT
//     (other than "I do not know", and than a foreign server's lost COMMIT), if
//     COMMIT answered ROLLBACK, if no byte of the COMMIT was written, or if
//     the context had ended before. Everything else is in doubt. What the
//     driver says about safety ("conn closed", SafeToRetry) is never evidence.
//  3. A doubt is resolved on a connection of its own: committed is a success,
//     aborted is a repeat, and what cannot be proven is [perdure.ErrOutcomeUnknown].
//  4. "Committed" is said only if it is true in the history of the primary that
//     survives, and, under synchronous replication, only after a later WAL
//     record was acknowledged. A wait for the standbys that somebody cancels is
//     no acknowledgement, although the server answers COMMIT.
//  5. No CancelRequest is ever sent for a connection whose COMMIT is pending:
//     it would make the rows visible before they are replicated.
//  6. Nothing sleeps, parks or resolves while it holds a connection of the pool.
//  7. Inside a transaction nothing is repeated: an aborted transaction is
//     repeated from BEGIN, and judged by the error that aborted it.
//  8. A function given to [Once] has its effects once for its key, in however many
//     processes it is called, until the key is forgotten.
//  9. A backend whose connection broke before COMMIT was written is ended, so
//     that the repeat does not wait for what the first try holds.
//
// Limits: what an asynchronous failover drops after it was acknowledged is
// lost, here as everywhere. A NOTIFY is part of the promise when its SQL can
// be seen; one that is sent from inside a function, in a transaction that
// writes nothing else, may be sent again after a lost reply. The part of a
// transaction that is on a foreign server (postgres_fdw) is committed before the
// rest: a crash in between leaves it there. A function that sends COMMIT past
// its Tx, by tx.Conn(), is found out by the server's answer, not without it.
package perdurepgx

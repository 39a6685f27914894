// Package perduresql puts a [perdure.Manager] behind a *sql.DB: guarded
// statements, transactions that are repeated whole, and effects that happen
// exactly once, also when the reply to a COMMIT is lost. What holds for
// perdurepgx holds here, over any driver for PostgreSQL whose errors have a
// method SQLState() string; pgx's stdlib and lib/pq are tested.
//
// A [DB] is a *sql.DB: sqlc, sqlx and ORMs take it, or its field DB, as they
// take any other. Between it and the driver are two pools: that of the *sql.DB
// holds nothing but a place for a call, that of the driver's connections is
// asked for one by each attempt. So nothing sleeps, parks or looks into a doubt
// while it holds a connection, and database/sql, which repeats a statement as
// soon as a driver says driver.ErrBadConn, has nothing that it could repeat:
//
//  1. A statement outside a transaction is repeated when the server refused it,
//     or when nothing of it was written; after a lost connection only if its op
//     is Idempotent or ReadOnly. A query, up to its first row.
//  2. What [DB.InTx] and [Once] are given is repeated whole. Any other
//     transaction, such as an ORM's, runs once: its Commit returns nil only for
//     what is committed, an error that is [perdure.ErrOutcomeUnknown] for what
//     cannot be known, and any other error for what is rolled back.
//  3. A COMMIT is written once, on the connection of its transaction, and waits
//     under a limit of perdure's own. One whose reply is lost is looked into on
//     a connection of its own: committed is success, aborted is a repeat, and
//     what cannot be proven is unknown.
//  4. No error of a statement ever is driver.ErrBadConn. What the driver keeps
//     to itself (the SQLSTATE of a FATAL, how the connection ended) is added.
//  5. A driver that does not heed its context is stopped, by closing the
//     connection under it.
//
// On a *sql.Conn the first statement is guarded like any other. The later ones
// run once, on the same connection: they may depend on its session. The same
// goes for a connection with open rows.
//
// A [Dialer] makes perduresql see what goes over the wire; it should be used
// where the driver allows it.
//
// Limits: perdurepgx asks for the identity of a transaction together with BEGIN.
// Drivers of database/sql give the rows of the first statement of a message only,
// and pgx's takes one statement for a query: without a witness, or on an encrypted
// connection, a transaction under Token costs a round trip more (over lib/pq only
// one with options), and a Once does. What a driver offers behind sql.Conn.Raw is out of reach, and so is
// COPY. Where there is no witness, or the connection is encrypted, a wait for
// synchronous standbys that a person cancels looks like success.
package perduresql

// Package sqlc shows code as sqlc makes it on a guarded database: nothing of it
// changes but what its New is given. Package shop beneath is such code, for
// database/sql. It is written by hand in sqlc's style, so that the project
// needs no generator; what sqlc itself makes of query.sql fits in the same way,
// also for pgx, whose DBTX a *perdurepgx.DB and a pgx.Tx have.
package sqlc

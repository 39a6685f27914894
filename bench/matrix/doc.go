// Package matrix is the fault matrix: everything that can happen to a
// PostgreSQL server and to the way to it, on real servers, and what becomes of
// the work of eight callers meanwhile, over perdure and over what would be used
// instead of it (package subject).
//
// "make matrix" runs all of it and writes docs/fault-matrix.md; "make matrix
// ROW=name" runs one row. "make test" runs perdure's columns.
//
// A row is not over before its fault has been met: its own condition says so,
// by what went over the wire or by what the server tells, and not by time.
package matrix

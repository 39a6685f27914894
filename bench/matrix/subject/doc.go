// Package subject holds the ways to work with a database that the fault matrix
// compares: perdure over three drivers, and what would be used instead of it,
// each set up as its own documentation advises. The comment on each says where.
//
// What all have in common, so that like is compared with like: a pool of
// [Connections] connections that is made once and shared by all callers; at most
// [AttemptTimeout] for an attempt; and, where work is repeated, [Attempts]
// attempts and a breaker inside the repeats that is not itself repeated.
package subject

import (
	"context"
	"net"
	"time"
)

const (
	// Connections is the size of each pool.
	Connections = 8
	// Attempts is how often a subject that repeats tries.
	Attempts = 3
	// AttemptTimeout is how long an attempt may take.
	AttemptTimeout = 2 * time.Second
)

// Tx is an open transaction.
type Tx interface {
	// Exec runs a statement and drops its rows.
	Exec(ctx context.Context, sql string, args ...any) error
	// Int runs a query of one row with one number.
	Int(ctx context.Context, sql string, args ...any) (int64, error)
}

// Subject is one way to work with a database. It is safe for concurrent use.
type Subject interface {
	// InTx runs work in a transaction, a serializable one if asked to, and commits it.
	InTx(ctx context.Context, serializable bool, work func(ctx context.Context, tx Tx) error) error
	// Exec runs one statement outside a transaction.
	Exec(ctx context.Context, sql string, args ...any) error
	// Int runs one query outside a transaction. It changes nothing.
	Int(ctx context.Context, sql string, args ...any) (int64, error)
	// Unknown reports whether an error that InTx or Exec returned says that the work may be done all the same.
	Unknown(err error) bool
	// Close ends it, and waits for what it still does.
	Close(ctx context.Context) error
}

// Settings say where the database is.
type Settings struct {
	// URL is that of the database.
	URL string
	// Resolver looks host names up. Nil means the system's.
	Resolver *net.Resolver
	// Pooler says that a pooler in transaction mode stands before the server: prepared statements are not for it.
	Pooler bool
}

// Candidate is a Subject that can be opened.
type Candidate struct {
	// Name is the name of its column.
	Name string
	// Perdure says that it is one of ours.
	Perdure bool
	// Open opens it. A server that is there is not needed for it.
	Open func(ctx context.Context, s Settings) (Subject, error)
}

// All returns the candidates, perdure's first.
func All() []Candidate {
	return []Candidate{
		{"perdurepgx", true, openPgx},
		{"perduresql, pgx", true, openSQLPgx},
		{"perduresql, lib/pq", true, openSQLPq},
		{"pgx alone", false, openPlainPgx},
		{"database/sql + lib/pq", false, openPlainPq},
		{"pgx + failsafe-go", false, openFailsafe},
		{"pgx + backoff + gobreaker", false, openComposed},
	}
}

// dialer returns what connects, by the resolver of s.
func (s Settings) dialer() *net.Dialer { return &net.Dialer{Resolver: s.Resolver} }

func (s Settings) lookup(ctx context.Context, host string) ([]string, error) {
	r := s.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	return r.LookupHost(ctx, host)
}

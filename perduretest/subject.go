package perduretest

import (
	"context"
	"testing"
	"time"

	"github.com/perdure/perdure"
)

// Tx is an open transaction.
type Tx interface {
	// Exec runs a statement.
	Exec(ctx context.Context, sql string) error
	// Int runs a query that returns one row of one bigint.
	Int(ctx context.Context, sql string) (int64, error)
}

// Subject is a guarded database: thin wrappers around what a program would call.
// Each returns the error that it was given, untouched. It is used by many
// goroutines at the same time.
type Subject struct {
	// Exec runs a guarded statement.
	Exec func(ctx context.Context, sql string) error
	// Int runs a guarded query that returns one row of one bigint.
	Int func(ctx context.Context, sql string) (int64, error)
	// InTx runs fn as a guarded transaction.
	InTx func(ctx context.Context, op perdure.Op, fn func(ctx context.Context, tx Tx) error) error
	// Once runs fn once for key.
	Once func(ctx context.Context, op perdure.Op, key string, fn func(ctx context.Context, tx Tx) (int64, error)) (int64, error)
	// Migrate creates perdure's schema.
	Migrate func(ctx context.Context) error
	// Close closes the database; the suite closes the Manager before.
	Close func()
}

// Setup says what [Conformance] runs against.
type Setup struct {
	// URL is the connection URL of a database, in a role that may create tables
	// and schemas and end sessions of its own. Perdure's schema is created and
	// stays; tables named perduretest_… come and go. The proxy refuses
	// encryption, so the URL must allow a connection without. Empty means a
	// private server, from the PostgreSQL that is installed, which is then also
	// killed and restarted.
	URL string
	// New opens the database at url, guarded by m.
	New func(tb testing.TB, url string, m *perdure.Manager) Subject
	// Calls is how many transactions the cases with chances run. Zero means 150.
	Calls int
}

const (
	defaultCalls = 150
	// patience bounds a case.
	patience = 2 * time.Minute
)

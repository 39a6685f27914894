// Package shop is code as sqlc makes it of query.sql for database/sql, written
// by hand in its style.
package shop

import (
	"context"
	"database/sql"
)

// DBTX is what the queries run on: a *sql.DB, a *sql.Tx, a *perduresql.DB.
type DBTX interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// New returns the queries on db.
func New(db DBTX) *Queries { return &Queries{db: db} }

// Queries are the statements of query.sql.
type Queries struct{ db DBTX }

// WithTx returns the queries on a transaction.
func (q *Queries) WithTx(tx *sql.Tx) *Queries { return &Queries{db: tx} }

package perdurepgx

import (
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Prune does what the watchdog does every ten minutes.
func (db *DB) Prune() { db.prune() }

// SetLateWithin sets how lately a connection must have answered for a BEGIN to
// wait for the first statement. Call it before the first transaction.
func (db *DB) SetLateWithin(d time.Duration) { db.lateWithin = d }

// Unreplicated is what the connection of rows has heard about standbys: it is of
// whoever has the connection, which the rows need not have any longer.
func Unreplicated(r pgx.Rows) *atomic.Bool { return &r.(*rows).w.unreplicated }

// Begins is when the next write on a connection of the pool is taken to begin;
// zero if the clock will tell.
func Begins(c *pgxpool.Conn) time.Duration { return wireOf(c.Conn().PgConn()).begins }

// BeginsInTx is that of the connection of a transaction. It sends nothing.
func BeginsInTx(tx pgx.Tx) time.Duration { return wireOf(tx.(*handle).Tx.Conn().PgConn()).begins }

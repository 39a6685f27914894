package perdurepgx

import (
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Prune does what the watchdog does every ten minutes.
func (db *DB) Prune() { db.prune() }

// SetLateWithin sets how lately a connection must have answered for a BEGIN to
// wait for the first statement. Call it before the first transaction.
func (db *DB) SetLateWithin(d time.Duration) { db.lateWithin = d }

// Unreplicated is what the connection of rows has heard about standbys: it is of
// whoever has the connection, which the rows need not have any longer.
func Unreplicated(r pgx.Rows) *atomic.Bool { return &r.(*rows).w.unreplicated }

package perdurepgx

import "time"

// Prune does what the watchdog does every ten minutes.
func (db *DB) Prune() { db.prune() }

// SetLateWithin sets how lately a connection must have answered for a BEGIN to
// wait for the first statement. Call it before the first transaction.
func (db *DB) SetLateWithin(d time.Duration) { db.lateWithin = d }

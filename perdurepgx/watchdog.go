package perdurepgx

import (
	"context"
	"time"
)

const pruneWait = 30 * time.Second

// watch ends waits whose bound is past, asks the prober about connections that
// are silent, and deletes old markers.
func (db *DB) watch() {
	db.wires.Run(db.closed, db.m, db.start, (*wire).expire, func() {
		if db.Outcome() == Marker {
			db.prune()
		}
	})
}

// prune deletes old markers, a few at a time, until none is left; other
// processes do the same.
func (db *DB) prune() {
	ctx, cancel := context.WithTimeout(db.life, pruneWait)
	defer cancel()
	for n := 1; n > 0; {
		// The connection goes back each time: callers may wait for it.
		if db.pool.QueryRow(ctx, "select perdure.prune($1)", db.cfg.Retention).Scan(&n) != nil {
			return // another time
		}
	}
}

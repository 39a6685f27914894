package perduresql

import (
	"context"
	"errors"
	"time"
)

const (
	// probeWait bounds a probe whose context does not: the Manager's does, by what
	// is usual.
	probeWait = 4 * time.Second
	pruneWait = 30 * time.Second
)

// errDemoted is the probe's error for a server that answers but cannot write.
var errDemoted = errors.New("the server is in recovery: it cannot write")

// probe asks, on a connection of its own, whether the database can serve.
func (db *DB) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	l, err := db.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() //nolint:contextcheck // Close has a limit of its own
	rows, err := l.ask(ctx, probeWait, "select pg_is_in_recovery()")
	if err != nil {
		return l.explain(err)
	}
	if !db.cfg.Standbys && len(rows) == 1 && rows[0][0] == "t" {
		return errDemoted
	}
	return nil
}

// watch asks the prober about connections that are silent, and deletes old
// markers.
func (db *DB) watch() {
	db.links.Run(db.closed, db.m, db.start, nil, func() {
		if db.Outcome() == Marker {
			db.prune()
		}
	})
}

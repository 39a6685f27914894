package perdurepgx

import (
	"context"
	"errors"
	"time"

	"github.com/perdure/perdure"
)

// probeWait bounds a probe whose context does not: the Manager's does, by what
// is usual.
const probeWait = 4 * time.Second

// errDemoted is the probe's error for a server that answers but cannot write.
var errDemoted = errors.New("the server is in recovery: it cannot write")

// probe asks, on a connection of its own, whether the database can serve.
func (db *DB) probe(ctx context.Context) error {
	pc, err := db.dialOwn(ctx, probeWait)
	if err != nil {
		return err
	}
	defer hangUp(context.WithoutCancel(ctx), pc)
	rows, _, err := simple(ctx, pc, "select pg_is_in_recovery()")
	if err != nil {
		return err
	}
	if !db.cfg.Standbys && len(rows) == 1 && rows[0][0] == "t" {
		return errDemoted
	}
	return nil
}

// drain throws the pool's connections away when the prober has found the
// database down, or a primary demoted: what comes next is dialled anew.
func (db *DB) drain(e perdure.BreakerEvent) {
	if e.Operation == databaseOperation && e.Change.To.String() == stateOpen {
		db.relearn()
		db.pool.Reset()
	}
}

const (
	databaseOperation = "database"
	stateOpen         = "open"
)

package perdurepgx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/pgerr"
)

// errNoWitness is the error of a connection that was not dialled by perdure.
var errNoWitness = errors.New("perdurepgx: the pool handed out a connection without a witness")

// PoolExhaustedError says that every connection of the pool was in use until
// the context ended, or until it left the operation less time than that usually
// takes. The server is not to blame.
type PoolExhaustedError struct {
	// MaxConns is the size of the pool.
	MaxConns int32
	err      error
}

// Error returns what happened and the end of the context.
func (e *PoolExhaustedError) Error() string { return e.Describe(error.Error) }

// Describe returns what Error does, with the end of the context as text has it.
func (e *PoolExhaustedError) Describe(text func(error) string) string {
	return fmt.Sprintf("all %d connections of the pool are in use: %s", e.MaxConns, text(e.err))
}

// Unwrap returns the error of the context.
func (e *PoolExhaustedError) Unwrap() error { return e.err }

// exhausted judges an attempt that got no connection in time.
func (db *DB) exhausted(ctx context.Context, err error) (perdure.Judgement, error) {
	j := adapter.Safe(pgerr.Verdict{Category: pgerr.CategoryResource, Severity: pgerr.SeverityMedium, Retry: pgerr.RetryWait})
	j.Hint = "raise pool_max_conns, or hold connections for a shorter time"
	return j, adapter.WithCause(ctx, &PoolExhaustedError{MaxConns: db.pool.Stat().MaxConns(), err: err})
}

// acquire takes a connection for op. Nothing has been sent when it fails.
func (db *DB) acquire(ctx context.Context, op *perdure.Op) (*pgxpool.Conn, *wire, perdure.Judgement, error) {
	deadline, bounded := ctx.Deadline()
	var asked time.Time
	if bounded {
		asked = time.Now()
	}
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			// A pool that is full and a server that cannot be reached look the same in the error.
			if s := db.pool.Stat(); s.AcquiredConns() >= s.MaxConns() {
				j, err := db.exhausted(ctx, err)
				return nil, nil, j, err
			}
		}
		return nil, nil, adapter.Safe(adapter.ConnectVerdict(db.m, err)), adapter.WithCause(ctx, err)
	}
	w := wireOf(conn.Conn().PgConn())
	if w == nil {
		conn.Release()
		return nil, nil, adapter.Never("do not replace pgconn's AfterConnect in BeforeConnect after Open"), errNoWitness
	}
	if w.turn = (adapter.Turn{}); bounded {
		var ok bool
		if w.turn, ok = db.paces.Begin(op.Name, asked, deadline); !ok {
			conn.Release()
			j, err := db.exhausted(ctx, adapter.ErrLate)
			return nil, nil, j, err
		}
	}
	w.take(&op.Name)
	w.begins = w.looked
	return conn, w, perdure.Judgement{}, nil
}

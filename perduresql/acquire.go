package perduresql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/pgerr"
)

// PoolExhaustedError says that every connection of the pool was in use until
// the context ended, or until it left the operation less time than that usually
// takes. The server is not to blame.
type PoolExhaustedError struct {
	// MaxConns is the size of the pool.
	MaxConns int
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

// held is a connection that was taken from the pool.
type held struct {
	*link

	conn *sql.Conn
	turn adapter.Turn
}

// release gives the connection back; a broken one is closed.
func (h *held) release() {
	_ = h.conn.Close()
}

// exhausted judges an attempt that got no connection in time.
func (db *DB) exhausted(ctx context.Context, err error) (perdure.Judgement, error) {
	j := adapter.Safe(pgerr.Verdict{Category: pgerr.CategoryResource, Severity: pgerr.SeverityMedium, Retry: pgerr.RetryWait})
	j.Hint = "raise SetMaxOpenConns, or hold connections for a shorter time"
	return j, adapter.WithCause(ctx, &PoolExhaustedError{MaxConns: db.pool.Stats().MaxOpenConnections, err: err})
}

// acquire takes a connection for op. Nothing has been sent when it fails.
// database/sql may try several: only to find one, for it runs nothing on them.
func (db *DB) acquire(ctx context.Context, op *perdure.Op) (*held, perdure.Judgement, error) {
	deadline, bounded := ctx.Deadline()
	var asked time.Time
	if bounded {
		asked = time.Now()
	}
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		if errors.Is(err, driver.ErrBadConn) {
			err = &connectError{err: errBadConn}
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			// A pool that is full and a server that cannot be reached look the same in the error.
			if s := db.pool.Stats(); s.MaxOpenConnections > 0 && s.InUse >= s.MaxOpenConnections {
				j, err := db.exhausted(ctx, err)
				return nil, j, err
			}
		}
		v := adapter.ConnectVerdict(db.m, err)
		if v.Category == pgerr.CategoryUnknown && errors.Is(err, errBadConn) {
			v = adapter.LostVerdict()
			v.Effect = pgerr.EffectNone
		}
		return nil, adapter.Safe(v), adapter.WithCause(ctx, err)
	}
	h := &held{conn: conn}
	_ = conn.Raw(func(dc any) error {
		h.link, _ = dc.(*link)
		return nil
	})
	if bounded {
		var ok bool
		if h.turn, ok = db.paces.Begin(op.Name, asked, deadline); !ok {
			h.release()
			j, err := db.exhausted(ctx, adapter.ErrLate)
			return nil, j, err
		}
	}
	h.take(op.Name)
	return h, perdure.Judgement{}, nil
}

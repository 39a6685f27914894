package perdurepgx

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/outcome"
)

// hangUpWait bounds the farewell to a connection of perdure's own.
const hangUpWait = time.Second

// session is a connection of the resolver's own.
type session struct{ pc *pgconn.PgConn }

// session dials one.
func (db *DB) session(ctx context.Context, limit time.Duration) (outcome.Session, error) {
	pc, err := db.dialOwn(ctx, limit)
	if err != nil {
		return nil, err
	}
	return session{pc}, nil
}

// level returns the synchronous_commit of the pool's connections, if it is known.
func (db *DB) level() string {
	if level := db.syncLevel.Load(); level != nil {
		return *level
	}
	return ""
}

// Script sends all statements in one message.
func (s session) Script(ctx context.Context, statements ...string) (rows [][]string, tag string, err error) {
	return simple(ctx, s.pc, strings.Join(statements, "; "))
}

func (s session) Version() int               { return major(s.pc) }
func (s session) Unreplicated() bool         { return wireOf(s.pc).takeUnreplicated() }
func (s session) Broken() bool               { return s.pc.IsClosed() }
func (s session) HangUp(ctx context.Context) { hangUp(ctx, s.pc) }

func hangUp(ctx context.Context, pc *pgconn.PgConn) {
	if pc != nil {
		ctx, cancel := context.WithTimeout(ctx, hangUpWait)
		defer cancel()
		_ = pc.Close(ctx)
		_ = pc.Conn().Close() // the driver's clean-up of a broken connection would take 15 seconds
	}
}

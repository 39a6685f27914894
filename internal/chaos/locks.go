package chaos

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// locker makes deadlocks until enough transactions of the program were their
// victim: it takes two locks in the order opposite to the program's.
//
// The server ends the session whose deadlock_timeout passes first. This one's
// is long, so that the victim is the program's transaction.
func (c *Chaos) locker(ctx context.Context) {
	for ctx.Err() == nil {
		if n := c.Counts(); n.Deadlocks+n.SerializationFailures >= c.plan.deadlocks {
			return
		}
		// An error is what chaos does to itself when it kills the server, and
		// before the tables are there: the next round is as good.
		if err := c.deadlock(ctx); err != nil {
			pause(ctx, 50*time.Millisecond)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func (c *Chaos) deadlock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c.cfg.Session.Copy())
	if err != nil {
		return err
	}
	defer func() {
		closing, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		_ = conn.Close(closing) // the server may be gone: then so is the session
	}()
	// Long enough that the server finds the deadlock first.
	if _, err := conn.Exec(ctx, "select set_config('lock_timeout', (400 + 2 * setting::int)::text, false) from pg_settings where name = 'deadlock_timeout'"); err != nil {
		return err
	}
	// On a server where this user may not set it, the victim is either of the two.
	_, _ = conn.Exec(ctx, "set deadlock_timeout = '30s'")
	for ctx.Err() == nil {
		made, err := c.round(ctx, conn)
		if err != nil || made {
			return err
		}
		pause(ctx, 5*time.Millisecond)
	}
	return ctx.Err()
}

// round takes the first lock, waits until somebody wants it, and then wants
// what that somebody holds.
func (c *Chaos) round(ctx context.Context, conn *pgx.Conn) (bool, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(ctx) }() // never a commit: it locks and changes nothing
	tag, err := tx.Exec(ctx, c.cfg.Locks[0])
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	for range 20 {
		var wanted bool
		err := tx.QueryRow(ctx, `select exists (select from pg_locks l where not l.granted
and pg_backend_pid() = any(pg_blocking_pids(l.pid)))`).Scan(&wanted)
		if err != nil {
			return false, err
		}
		if wanted {
			_, err := tx.Exec(ctx, c.cfg.Locks[1])
			return true, err
		}
		pause(ctx, 2*time.Millisecond)
	}
	return false, nil
}

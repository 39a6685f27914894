package outcome

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// fenceAfter is how long the backend of a lost COMMIT must have been seen idle
// in its transaction before it is ended: a COMMIT may still be on its way, and
// one that has arrived must be let finish (under synchronous replication an
// ended wait shows the rows before they are replicated).
const fenceAfter = 300 * time.Millisecond

const sqlStatePrivilege = "42501"

// fence looks for the backend that still runs q's transaction, and ends it if
// it does nothing but wait for a client that is gone. An active one is waited for.
func (r *Resolver) fence(ctx context.Context, c Session, q *Question) error {
	xid := strconv.FormatUint(q.Doubt.XID, 10)
	rows, _, err := c.Script(ctx, "select coalesce(l.pid::text, ''), coalesce(a.state, '') "+
		"from pg_locks l left join pg_stat_activity a on a.pid = l.pid "+
		"where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted and l.transactionid = '"+xid+"'::xid8::xid")
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		q.idle = time.Time{}
		return nil
	}
	pid, state := rows[0][0], rows[0][1]
	switch {
	case pid == "":
		q.hinder(errors.New("it is a prepared transaction"))
		return nil
	case !strings.HasPrefix(state, "idle in transaction"):
		q.idle = time.Time{}
		if state == "" {
			q.hinder(&hintError{err: errStillOpen, hint: "let the role see other roles' sessions: grant pg_read_all_stats"})
		}
		return nil
	case q.idle.IsZero() || q.backend != pid:
		q.idle, q.backend = time.Now(), pid
		return nil
	case time.Since(q.idle) < fenceAfter:
		return nil
	}
	// The state is asked again in the statement that ends it.
	_, _, err = c.Script(ctx, "select pg_terminate_backend(a.pid) from pg_stat_activity a where a.pid = "+pid+
		" and a.state like 'idle in transaction%' and a.backend_xid = '"+xid+"'::xid8::xid")
	if state, _ := r.cfg.State(err); state == sqlStatePrivilege {
		q.hinder(&hintError{err: err, hint: "let the role end its own sessions: use the role that opened them, or grant pg_signal_backend"})
		return nil
	}
	return err
}

// Backend names a server process, and for a pooled one the transaction in it:
// a process may serve another client by now.
type Backend struct {
	PID   string
	Began string // when the process, or its transaction, did
	InTx  bool   // Began is the transaction's
}

// evict ends the backend of an attempt that can never commit, if it still sits
// in its transaction and waits for a client that is gone: its locks would stand
// in the way of the repeat. Without the right to do so that is left to time.
func (r *Resolver) evict(ctx context.Context, c Session, b Backend) error {
	if b.PID == "" || b.Began == "" {
		return nil
	}
	began := "backend_start"
	if b.InTx {
		began = "xact_start"
	}
	_, _, err := c.Script(ctx, "select pg_terminate_backend(a.pid) from pg_stat_activity a where a.pid = "+b.PID+
		" and extract(epoch from a."+began+") = "+b.Began+" and a.state like 'idle in transaction%'")
	if _, refused := r.cfg.State(err); refused {
		return nil
	}
	return err
}

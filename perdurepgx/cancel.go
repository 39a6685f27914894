package perdurepgx

import (
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// cancelWait is how long a statement whose context has ended may take to
// answer the CancelRequest before its connection is given up.
const cancelWait = time.Second

type ctxHandler = ctxwatch.Handler

// cancelOnServer replaces the driver's default answer to a context that ends,
// which is to drop the connection and leave the statement running, by a
// CancelRequest. A handler of the user's own stays.
func cancelOnServer(build func(*pgconn.PgConn) ctxHandler) func(*pgconn.PgConn) ctxHandler {
	return func(pc *pgconn.PgConn) ctxHandler {
		if build != nil {
			h := build(pc)
			if d, ok := h.(*pgconn.DeadlineContextWatcherHandler); !ok || d.DeadlineDelay != 0 {
				return h
			}
		}
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pc, DeadlineDelay: cancelWait}
	}
}

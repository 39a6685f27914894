package perdurepgx

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

const (
	// cancelGrace is how long a statement whose context has ended may go on
	// without one. A CancelRequest costs the server a process and the pool the
	// connection, for cancelSettle and more: one that is about to end is cheaper.
	cancelGrace = 20 * time.Millisecond
	// cancelWait is how long a statement whose context has ended may take to
	// answer the CancelRequest before its connection is given up.
	cancelWait = time.Second
	// cancelSettle is how long a signal may take from the server's process that
	// takes a CancelRequest to the one that it is for.
	cancelSettle = 100 * time.Millisecond
)

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
		return &canceller{pc: pc}
	}
}

// canceller sends a CancelRequest for a statement whose context has ended. The
// connection is not used again before the server has taken the request, and not
// at all if that has not been seen: a request that comes late cancels whatever
// statement runs then. pgx's own handler stops waiting when the statement ends.
type canceller struct {
	pc    *pgconn.PgConn
	ended chan struct{} // closed when the statement has ended
	done  chan struct{} // closed when no request is on its way any more
	taken bool          // whether that is so because the server has it, or because none was sent; written before done is closed
}

// HandleCancel sends the request after cancelGrace, and gives the statement cancelWait to end.
func (c *canceller) HandleCancel(ctx context.Context) {
	c.ended, c.done, c.taken = make(chan struct{}), make(chan struct{}), false
	deadline := time.Now().Add(cancelGrace + cancelWait)
	_ = c.pc.Conn().SetDeadline(deadline) // fails on a closed connection only
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	go func() {
		defer close(c.done)
		defer cancel()
		grace := time.NewTimer(cancelGrace)
		defer grace.Stop()
		select {
		case <-c.ended:
			c.taken = true
			return
		case <-grace.C:
		}
		err := c.pc.CancelRequest(ctx) // nil also when ctx ended the wait for the server
		c.taken = err != nil || ctx.Err() == nil
		if err == nil && c.taken {
			settle := time.NewTimer(cancelSettle)
			defer settle.Stop()
			<-settle.C
		}
	}()
}

// HandleUnwatchAfterCancel is called when the statement has ended.
func (c *canceller) HandleUnwatchAfterCancel() {
	close(c.ended)
	<-c.done
	if !c.taken {
		_ = c.pc.Conn().Close() // the next use fails before anything is written
		return
	}
	_ = c.pc.Conn().SetDeadline(time.Time{}) // fails on a closed connection only
}

package perdurepgx

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/adapter"
)

// maxWaiting bounds how many waiting messages are read before a connection is
// taken into use; a connection that has more is not worth it.
const maxWaiting = 64

// freshFor is how lately a connection must have answered a message to be taken
// into use unseen. The system call is the dearest part of guarding a short
// statement, 5 % of what the client spends on one; and a session that its server
// ends so soon after an answer might as well have been ended amid the statement
// before it.
const freshFor = time.Millisecond

// fresh reports whether an idle connection may be used: nothing waits on it
// but notifications and the like. A server that was restarted has left a FATAL
// or an end of file there, and the first statement would meet it. The check is
// one system call, spared within freshFor; only when something waits is it read.
func fresh(c *pgx.Conn) bool {
	pc := c.PgConn()
	w := wireOf(pc)
	if w == nil {
		return true
	}
	w.looked, w.begins = time.Since(w.epoch), 0
	if w.reader != nil && w.reader.drained() && pc.Frontend().ReadBufferLen() == 0 &&
		w.Since.Load() == 0 && w.looked-time.Duration(w.answered.Load()) < freshFor {
		return true
	}
	for range maxWaiting {
		if pc.Frontend().ReadBufferLen() == 0 && !w.readable() {
			return true
		}
		// The deprecated call reads one message under a deadline of 1ms. Ping,
		// its replacement, would cost a round trip and answers another question.
		if err := pc.CheckConn(); err != nil { //nolint:staticcheck // see above
			return false
		}
		if pc.IsClosed() {
			return false
		}
	}
	return false
}

// readable reports whether something may wait to be read: in the socket, or
// with the driver's reader, if that is still at work.
func (w *wire) readable() bool {
	w.mu.Lock()
	conn, ahead := w.socket, w.ahead
	w.mu.Unlock()
	return conn == nil || w.reader != nil && len(w.reader.left) > 0 || ahead != nil && ahead.Status() != 0 || adapter.Readable(conn)
}

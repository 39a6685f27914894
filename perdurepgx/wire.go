package perdurepgx

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/perdure/perdure/internal/adapter"
)

// wireKey is where a connection keeps its wire, in pgconn's custom data.
const wireKey = "perdurepgx"

// wire is the witness of one connection: what was written on it, how reading
// ended, and what the server said last.
//
// Bytes are counted twice. app counts what the driver's frontend hands over,
// above TLS, so that a TLS alert does not look like a COMMIT. raw counts what
// went into the socket; it is used where the driver writes past its frontend.
type wire struct {
	adapter.Silence // of a write that nothing has answered yet

	epoch      time.Time // of the database; the zero of Since and limit
	app        atomic.Int64
	raw        atomic.Int64
	limit      atomic.Int64 // nanoseconds since epoch at which the watchdog ends the wait; zero means never
	up         atomic.Bool  // the connection is made; a further dial is a CancelRequest
	committing atomic.Bool  // a COMMIT is pending or in doubt: no CancelRequest
	answered   atomic.Int64 // nanoseconds since epoch at which the last write was begun that was answered
	late       lateBegin    // a BEGIN that goes out with the first statement
	tags       tags         // what the server said about transactions
	// A commit is done, but somebody ended its wait for the synchronous standbys.
	unreplicated atomic.Bool

	mu      sync.Mutex // guards the fields below
	socket  net.Conn   // below TLS
	ahead   readAhead  // the driver's reader; nil if it cannot be asked
	readErr error      // why reading ended
	notice  *pgconn.PgError

	// The fields below belong to whoever holds the connection.
	lastErr *pgconn.PgError // the last ErrorResponse
	txErr   *pgconn.PgError // the ErrorResponse that moved the transaction from T to E
	known   *facts          // nil until learned
	ready   preparation     // what is prepared on the connection
	plain   bool            // nothing can be: somebody discards it
	simple  bool            // the driver's default is the simple protocol
	looked  time.Duration   // since epoch, when the pool last handed the connection out
	begins  time.Duration   // since epoch, when the statement began that is about to be written; zero: read the clock
	reader  *wireReader     // of the connection
	turn    adapter.Turn    // of whoever holds it
}

// wireOf returns the witness of c; nil if another dialled it.
func wireOf(c *pgconn.PgConn) *wire {
	if r, ok := c.Conn().(*rawConn); ok && r.w.up.Load() {
		return r.w // without TLS: spares the map
	}
	w, _ := c.CustomData()[wireKey].(*wire)
	return w
}

// attach wires w into the configuration of one connection to be made.
func (w *wire) attach(c *pgx.ConnConfig) {
	dial, build, notice, pgErr, after := c.DialFunc, c.BuildFrontend, c.OnNotice, c.OnPgError, c.AfterConnect
	watcher := c.BuildContextWatcherHandler
	w.simple = c.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w.up.Load() && w.committing.Load() {
			return nil, errNoCancel
		}
		conn, err := dial(ctx, network, addr)
		if err != nil || w.up.Load() {
			return conn, err
		}
		w.reset(conn)
		return &rawConn{Conn: conn, w: w}, nil
	}
	c.BuildFrontend = func(r io.Reader, out io.Writer) *pgproto3.Frontend {
		w.mu.Lock()
		w.ahead, _ = r.(readAhead)
		w.mu.Unlock()
		w.reader = &wireReader{r: r, w: w, tags: tagScanner{tags: &w.tags}}
		return build(w.reader, &wireWriter{out: out, w: w})
	}
	c.OnNotice = func(pc *pgconn.PgConn, n *pgconn.Notice) {
		w.sawNotice(n)
		if notice != nil {
			notice(pc, n)
		}
	}
	c.OnPgError = func(pc *pgconn.PgConn, e *pgconn.PgError) bool {
		w.lastErr = e
		if pc.TxStatus() == 'T' || w.late.is(lateBegun) && pc.TxStatus() == 'I' { // the driver has not been told of BEGIN
			w.txErr = e
		}
		return pgErr == nil || pgErr(pc, e)
	}
	c.AfterConnect = func(ctx context.Context, pc *pgconn.PgConn) error {
		pc.CustomData()[wireKey] = w
		if after != nil {
			if err := after(ctx, pc); err != nil {
				return err
			}
		}
		w.up.Store(true)
		return nil
	}
	c.BuildContextWatcherHandler = cancelOnServer(watcher)
}

// reset begins a new host of the list.
func (w *wire) reset(conn net.Conn) {
	w.mu.Lock()
	w.socket, w.readErr, w.notice = conn, nil, nil
	w.mu.Unlock()
	w.lastErr, w.txErr = nil, nil
	w.Since.Store(0)
}

// take begins a use of the connection by an operation. What is so already is not
// stored again: a store that others must see costs as much as ten loads.
func (w *wire) take(op *string) {
	if w.Op.Load() != op {
		w.Op.Store(op)
	}
	w.lastErr, w.txErr = nil, nil
	w.late.forget()
	_ = w.takeUnreplicated()
}

// takeUnreplicated reports whether a commit was not replicated, once.
func (w *wire) takeUnreplicated() bool { return w.unreplicated.Load() && w.unreplicated.Swap(false) }

// cut closes the socket under a connection whose COMMIT is in doubt, so that
// the driver's clean-up does not hold a place in the pool for 15 seconds.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.socket != nil {
		_ = w.socket.Close()
	}
}

// sawNotice keeps a notice that explains the end of the connection: 57P01 and
// 57P02 arrive as warnings before an EOF. And it notes a commit whose wait for
// the standbys was ended by a cancel: that is a success with a warning.
func (w *wire) sawNotice(n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		w.unreplicated.Store(true)
	}
	if !strings.HasPrefix(n.Code, "57P") {
		return
	}
	w.mu.Lock()
	w.notice = (*pgconn.PgError)(n)
	w.mu.Unlock()
}

// sawReadError keeps how reading ended. A deadline is no end: the statement's
// context has its own error.
func (w *wire) sawReadError(err error) {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return
	}
	w.mu.Lock()
	if w.readErr == nil {
		w.readErr = err
	}
	w.mu.Unlock()
}

// readAhead is what the driver reads from: behind a slow write it reads in the
// background, and its status is then not zero.
type readAhead interface{ Status() int32 }

// wireWriter counts above TLS.
type wireWriter struct {
	out io.Writer
	w   *wire
}

func (x *wireWriter) Write(p []byte) (int, error) {
	if isTerminate(p) {
		return x.out.Write(p)
	}
	x.w.Since.Store(int64(x.w.began()))
	var n int
	var err error
	switch x.w.late.state.Load() {
	case lateWaiting:
		n, err = x.w.late.write(x.out, p)
	case lateSent, lateRefused: // for its answer, or there is no transaction
		err = errBeginWaits
	default:
		n, err = x.out.Write(p)
	}
	x.w.app.Add(int64(n))
	return n, err
}

// began returns when what is about to be written began.
func (w *wire) began() time.Duration {
	if at := w.begins; at != 0 {
		w.begins = 0
		return at
	}
	return time.Since(w.epoch)
}

// isTerminate reports whether p is the farewell that the driver sends from its
// clean-up, at any time: it is no part of a statement.
func isTerminate(p []byte) bool { return len(p) == 5 && p[0] == 'X' }

// wireReader keeps why reading ended, which the driver loses, and what the
// server said about transactions.
type wireReader struct {
	r    io.Reader
	w    *wire
	tags tagScanner
	left []byte // read already, with the answer to a BEGIN
}

func (x *wireReader) Read(p []byte) (int, error) {
	if x.w.late.is(lateSent) {
		left, err := x.w.late.read(x.r)
		x.heard()
		if err != nil {
			x.w.sawReadError(err)
			return 0, err
		}
		x.tags.scan(left)
		x.left = left
	}
	if len(x.left) > 0 {
		n := copy(p, x.left)
		x.left = x.left[n:]
		return n, nil
	}
	if x.w.late.is(lateRefused) {
		return 0, errBeginRefused
	}
	n, err := x.r.Read(p)
	x.heard()
	x.tags.scan(p[:n])
	if err != nil {
		x.w.sawReadError(err)
	}
	return n, err
}

// drained reports whether all that was read has been passed on, and ended with a
// message's end.
func (x *wireReader) drained() bool { return len(x.left) == 0 && x.tags.between() }

// heard ends the wait of what was written last.
func (x *wireReader) heard() {
	if since := x.w.Since.Swap(0); since != 0 {
		x.w.answered.Store(since)
	}
}

// rawConn counts below TLS.
type rawConn struct {
	net.Conn

	w *wire
}

func (c *rawConn) Write(p []byte) (int, error) {
	if c.w.late.is(lateWaiting) { // the driver has gone past its frontend
		return 0, errBeginWaits
	}
	n, err := c.Conn.Write(p)
	c.w.raw.Add(int64(n))
	return n, err
}

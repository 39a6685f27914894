package perdurepgx

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
)

// lateBegin is a BEGIN that waits for the first statement of its transaction
// and goes out with it, in one round trip instead of two.
//
// It is safe because BEGIN and the statement are parts of one pipeline of the
// extended protocol: a server that refuses BEGIN skips everything up to the
// Sync behind the statement, so that nothing can run outside the transaction.
// Then the connection is not used any further. What does not fit into such a
// pipeline is refused while a BEGIN is waiting; see [attempt.beginEarly].
//
// All but state belongs to whoever holds the connection.
type lateBegin struct {
	state   atomic.Int32
	prefix  []byte // BEGIN, and what is asked with it, as messages
	replies int    // CommandComplete messages with which the prefix is answered
	row     string // the first value of the last row among these answers
	buf     []byte // what was read while they were looked for
	err     error  // why no more can be read
}

// The states of a lateBegin.
const (
	lateNone    int32 = iota // there is none: BEGIN, if any, was sent in the usual way
	lateWaiting              // nothing has been sent
	lateSent                 // it has, and the answer has not been read
	lateBegun                // the transaction is open
	lateRefused              // the server refused BEGIN
)

var (
	errBeginWaits   = errors.New("perdurepgx: a statement would have overtaken its BEGIN")
	errBeginRefused = errors.New("perdurepgx: the server refused BEGIN, and with it the statement")
)

// wait makes BEGIN, as begin has it, wait for the next message. If xid is set,
// the prepared question for the transaction's xid goes with it.
func (l *lateBegin) wait(begin string, xid bool) error {
	l.replies, l.row, l.err = 1, "", nil
	var err error
	if l.prefix, err = (&pgproto3.Parse{Query: begin}).Encode(l.prefix[:0]); err != nil {
		return err
	}
	ask := func(statement string) {
		if err == nil {
			l.prefix, err = (&pgproto3.Bind{PreparedStatement: statement}).Encode(l.prefix)
		}
		if err == nil {
			l.prefix, err = (&pgproto3.Execute{}).Encode(l.prefix)
		}
	}
	ask("")
	if xid {
		l.replies++
		ask(xidStatement)
	}
	if err == nil {
		l.state.Store(lateWaiting)
	}
	return err
}

// forget ends it. A BEGIN that waits is never sent.
func (l *lateBegin) forget() {
	if !l.is(lateNone) {
		l.state.Store(lateNone)
	}
}

func (l *lateBegin) is(state int32) bool { return l.state.Load() == state }

// write sends BEGIN and p, the first messages of a statement.
func (l *lateBegin) write(out io.Writer, p []byte) (n int, err error) {
	if !onePipeline(p) {
		return 0, errBeginWaits
	}
	l.state.Store(lateSent)
	own := len(l.prefix)
	l.prefix = append(l.prefix, p...)
	n, err = out.Write(l.prefix)
	if cap(l.prefix) > lateBuffer {
		l.prefix = nil // a long statement's arguments are not kept, as the driver does not
	}
	return max(n-own, 0), err
}

// onePipeline reports whether p is whole messages of the extended protocol, of
// which the last, and only the last, is a Sync.
func onePipeline(p []byte) bool {
	for {
		size := wholeMessage(p)
		if size == 0 {
			return false
		}
		switch p[0] {
		case 'S':
			return size == len(p)
		case 'P', 'B', 'C', 'D', 'E', 'H': // Parse, Bind, Close, Describe, Execute, Flush
		default:
			return false
		}
		p = p[size:]
	}
}

const lateBuffer = 4096

// read reads from r until the answers to BEGIN are there, and returns what
// else was read, which is the driver's: nothing of the answers is, unless the
// server refused. It is valid until the next call.
func (l *lateBegin) read(r io.Reader) ([]byte, error) {
	if l.err != nil {
		return nil, l.err
	}
	if cap(l.buf) < lateBuffer {
		l.buf = make([]byte, 0, lateBuffer)
	}
	buf, kept, at := l.buf[:0], 0, 0
	for {
		var size int
		for size = wholeMessage(buf[at:]); size == 0; size = wholeMessage(buf[at:]) {
			if len(buf) == cap(buf) {
				buf = append(buf, make([]byte, lateBuffer)...)[:len(buf)]
			}
			n, err := r.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
			if n == 0 && err != nil {
				l.err = err
				if kept == 0 {
					return nil, err
				}
				return buf[:kept], nil // a warning that explains the end
			}
		}
		switch msg := buf[at : at+size]; msg[0] {
		case 'N', 'S', 'A': // a notice, a parameter, a notification
			kept += copy(buf[kept:], msg)
		case 'E':
			kept += copy(buf[kept:], msg)
			l.state.Store(lateRefused)
			return buf[:kept], nil
		case 'D':
			l.row = firstValue(msg)
		case 'C':
			l.replies--
		case '1', '2': // Parse and Bind are done
		default:
			return nil, errors.New("perdurepgx: the server did not answer BEGIN")
		}
		at += size
		if l.replies == 0 {
			l.state.Store(lateBegun)
			kept += copy(buf[kept:], buf[at:])
			l.buf = buf[:0]
			return buf[:kept], nil
		}
	}
}

// wholeMessage returns the length of the message at the start of b; zero if b
// does not hold all of it.
func wholeMessage(b []byte) int {
	if len(b) < headerLen {
		return 0
	}
	if size := 1 + int(binary.BigEndian.Uint32(b[1:])); size >= headerLen && size <= len(b) {
		return size
	}
	return 0
}

// firstValue returns the first value of a DataRow message.
func firstValue(msg []byte) string {
	var row pgproto3.DataRow
	if row.Decode(msg[headerLen:]) != nil || len(row.Values) == 0 {
		return ""
	}
	return string(row.Values[0])
}

// lateWithin is how lately a connection must have answered for its BEGIN to
// wait: the answer to an early one is bounded by beginWait, so that one that has
// gone silent while it was idle is found out; that of a statement is not.
const lateWithin = time.Second

// late reports whether the BEGIN of a transaction may wait for its first
// statement: known is what is known of its connection.
func (a *attempt) late(known *facts) bool {
	switch {
	case known == nil, !known.direct, known.recovery, a.once != nil:
		return false
	case a.opts.BeginQuery != "", a.opts.CommitQuery != "":
		return false
	case a.w.simple:
		return false
	case !a.readOnly() && a.method == Token && !a.w.prepared(xidPrepared):
		return false
	}
	// The answer to BEGIN is looked for message by message, from the next byte on.
	return a.w.reader != nil && a.w.reader.drained() && a.lately()
}

// lately reports whether the connection has answered within lateWithin.
func (a *attempt) lately() bool {
	return time.Since(a.w.epoch)-time.Duration(a.w.answered.Load()) < a.db.lateWithin
}

// mayWait reports whether a statement with these arguments is sent in such a
// way that a BEGIN can go out before it.
func mayWait(args []any) bool {
	if len(args) == 0 {
		return false // the simple protocol
	}
	switch args[0].(type) {
	case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryRewriter:
		return false
	}
	return true
}

// beginLate makes BEGIN wait for the first statement.
func (a *attempt) beginLate(ctx context.Context) error {
	xid := !a.readOnly() && a.method == Token
	if err := a.w.late.wait(beginText(a.opts), xid); err != nil {
		return err
	}
	if !a.readOnly() && a.method == Marker {
		a.doubt.ID = outcome.NewUUID()
	}
	a.tags = a.w.tags.now()
	a.open(ctx)
	a.h.late, a.h.ctx = a, ctx
	return nil
}

// unsent reports whether a BEGIN waits and nothing else does: a driver that is
// busy may hold the whole of a statement, which its clean-up would send.
func (a *attempt) unsent() bool {
	return a.w.late.is(lateWaiting) && !a.pc.IsBusy() && !a.pc.IsClosed()
}

// unbegun is why a BEGIN was not done, once the function had been called.
type unbegun struct {
	j   perdure.Judgement
	err error
}

// beginEarly sends the BEGIN that waits, if it does, before a statement with
// which it cannot go out.
func (a *attempt) beginEarly(ctx context.Context) error {
	if a.unbegun != nil {
		return a.unbegun.err
	}
	if !a.w.late.is(lateWaiting) {
		return nil
	}
	a.w.late.forget()
	a.w.bound(beginWait)
	defer a.w.unbound()
	if j, err := a.beginNow(ctx); err != nil {
		a.unbegun = &unbegun{j, err}
		return err
	}
	return nil
}

// begunLate sees to it that the transaction is open, or says why it cannot be.
func (a *attempt) begunLate(ctx context.Context) (perdure.Judgement, error) {
	if a.w.late.is(lateRefused) && a.unbegun == nil {
		err := errBeginRefused
		if a.w.lastErr != nil {
			err = a.w.lastErr
		}
		j, err := a.beginFailed(ctx, err)
		a.unbegun = &unbegun{j, err}
		if !a.pc.IsClosed() {
			a.abandon(ctx) // the driver may not have read what followed the refusal
		}
	}
	if a.unbegun != nil {
		return a.unbegun.j, a.unbegun.err
	}
	if a.w.late.is(lateBegun) && !a.readOnly() && a.method == Token {
		xid, err := strconv.ParseUint(a.w.late.row, 10, 64)
		if err != nil {
			return adapter.Never(""), err
		}
		a.doubt.XID = xid
		a.doubt.In = a.known.inc
	}
	return perdure.Judgement{}, nil
}

package perduresql

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/pgerr"
)

// cancelWait is how long a driver may take to heed a context that has ended,
// before its connection is given up.
const cancelWait = time.Second

// closeWait bounds the driver's farewell.
const closeWait = 5 * time.Second

// link is a connection of the driver. Whoever took it from the pool uses it
// alone. database/sql keeps it, and never runs anything on it by itself.
type link struct {
	db     *DB
	dc     driver.Conn
	w      *wire // nil without a Dialer
	era    int64 // of DB.era at the time of connecting; an older link is not used again
	broken atomic.Bool
	gone   bool // the driver did not come back: nothing may be called on dc
	known  *facts
	stmts  stmts

	adapter.Silence // of a call that is under way
}

// Prepare, Begin and Close make it a driver.Conn, which database/sql can keep.
func (l *link) Prepare(string) (driver.Stmt, error) { return nil, errInner }

// Begin is refused.
func (l *link) Begin() (driver.Tx, error) { return nil, errInner }

var errInner = errors.New("perduresql: the pool's own connections run nothing")

// Close closes the connection.
func (l *link) Close() error {
	l.db.links.Remove(l)
	if l.gone {
		return nil
	}
	if l.w != nil && l.broken.Load() {
		l.w.cut() // the driver's farewell may wait
	}
	ctx, cancel := context.WithTimeout(l.db.base, closeWait)
	defer cancel()
	_, err := do(l, ctx, 0, func() (struct{}, error) { return struct{}{}, l.dc.Close() })
	return err
}

// IsValid reports whether the connection may be used again.
func (l *link) IsValid() bool {
	if l.broken.Load() || l.era != l.db.era.Load() {
		return false
	}
	v, ok := l.dc.(driver.Validator)
	return !ok || v.IsValid()
}

// ResetSession makes the connection ready for its next user. One that its server
// has left is given up here, where nothing was sent: database/sql takes another.
func (l *link) ResetSession(ctx context.Context) error {
	if !l.IsValid() || l.w != nil && adapter.Readable(l.w.Conn) {
		l.broken.Store(true)
		return driver.ErrBadConn
	}
	r, ok := l.dc.(driver.SessionResetter)
	if !ok {
		return nil
	}
	_, err := do(l, ctx, cancelWait, func() (struct{}, error) { return struct{}{}, r.ResetSession(ctx) })
	if err != nil {
		l.broken.Store(true)
		return driver.ErrBadConn
	}
	return nil
}

// take begins a use of the link by op.
func (l *link) take(op string) {
	l.Op.Store(&op)
	if l.w != nil {
		l.w.reset()
	}
}

// errGone is the error of a link whose driver did not come back.
var errGone = errors.New("the driver did not heed the end of its context")

// do calls f, a call of the driver, which is stopped if it goes on for longer
// than grace after the end of ctx: by closing the socket under it, or, where
// there is no witness to do that, by leaving it alone.
func do[T any](l *link, ctx context.Context, grace time.Duration, f func() (T, error)) (T, error) { //nolint:revive // the link is the receiver
	var zero T
	if l.gone {
		return zero, errGone
	}
	l.Since.Store(int64(time.Since(l.db.start)))
	defer l.Since.Store(0)
	if ctx.Done() == nil {
		v, err := f()
		return v, l.note(err)
	}
	if l.w != nil {
		done := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			timer := time.NewTimer(grace)
			defer timer.Stop()
			select {
			case <-done:
			case <-timer.C:
				l.broken.Store(true)
				l.w.cut()
			}
		})
		v, err := f()
		close(done)
		stop()
		return v, l.note(err)
	}
	type result struct {
		v   T
		err error
	}
	back := make(chan result, 1)
	go func() {
		v, err := f()
		back <- result{v, err}
	}()
	select {
	case r := <-back:
		return r.v, l.note(r.err)
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case r := <-back:
		return r.v, l.note(r.err)
	case <-timer.C:
	}
	l.gone = true
	l.broken.Store(true)
	dc := l.dc
	go func() {
		<-back
		_ = dc.Close()
	}()
	return zero, errGone
}

// note looks at an error of the driver for what it means for the connection.
func (l *link) note(err error) error {
	if err == nil || err == errEnd { //nolint:errorlint // a sign between rows and do
		return err
	}
	if f, ok := answerFields(l.w, err); ok {
		if f.Severity == "FATAL" || f.Severity == "PANIC" {
			l.broken.Store(true)
		}
		return err
	}
	if l.w != nil {
		if parting, readErr := l.w.known(); readErr != nil || parting != nil {
			l.broken.Store(true)
		}
	}
	if errors.Is(err, driver.ErrBadConn) {
		l.broken.Store(true)
		return err
	}
	switch pgerr.Classify(err).Category { //nolint:exhaustive // the others are answers
	case pgerr.CategoryConnection, pgerr.CategoryTimeout, pgerr.CategoryCanceled:
		l.broken.Store(true)
	case pgerr.CategoryUnknown:
		// The driver's own trouble, or words for a connection that is closed.
		l.broken.CompareAndSwap(false, l.w == nil)
	}
	return err
}

// written returns what was written on the connection so far; it is of use only
// with a witness.
func (l *link) written() int64 {
	if l.w == nil {
		return -1
	}
	return l.w.written.Load()
}

// unsent reports whether it is known that nothing was written since before.
func (l *link) unsent(before int64) bool { return l.w != nil && l.w.written.Load() == before }

package perduresql

import (
	"context"
	"database/sql/driver"
	"errors"
)

// dialled makes the pool's connections.
type dialled struct{ db *DB }

// Connect dials a link.
func (d *dialled) Connect(ctx context.Context) (driver.Conn, error) {
	l, err := d.db.dial(ctx)
	if err != nil {
		return nil, err
	}
	d.db.links.Add(l)
	return l, nil
}

// Driver returns the driver that is behind.
func (d *dialled) Driver() driver.Driver { return d.db.connector.Driver() }

// dial connects within Config.ConnectTimeout, also where the driver does not heed
// its context: nothing is waited for then, and what it comes back with is closed.
func (db *DB) dial(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, db.cfg.ConnectTimeout)
	defer cancel()
	s := &slot{}
	ctx = context.WithValue(ctx, slotKey{}, s)
	type result struct {
		dc  driver.Conn
		err error
	}
	back := make(chan result, 1)
	era := db.era.Load()
	go func() {
		dc, err := db.connector.Connect(ctx)
		back <- result{dc, err}
	}()
	var r result
	select {
	case r = <-back:
	case <-ctx.Done():
		select {
		case r = <-back: // the driver heeds its context
		default:
			go func() {
				if late := <-back; late.err == nil {
					_ = late.dc.Close()
				}
			}()
			return nil, &connectError{err: context.Cause(ctx)}
		}
	}
	if r.err != nil {
		if errors.Is(r.err, driver.ErrBadConn) {
			r.err = &connectError{err: errBadConn}
		}
		return nil, r.err
	}
	return &link{db: db, dc: r.dc, w: s.w, era: era}, nil
}

// connectError is the error of a connection that could not be made.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.Describe(error.Error) }
func (e *connectError) Unwrap() error { return e.err }

// Describe makes it a redact.Describer.
func (e *connectError) Describe(text func(error) string) string { return "connect: " + text(e.err) }

// places makes what the user's *sql.DB holds: places for calls.
type places struct{ db *DB }

// Connect returns a place. It costs no I/O.
func (p *places) Connect(context.Context) (driver.Conn, error) { return &conn{db: p.db}, nil }

// Driver returns the driver that is behind.
func (p *places) Driver() driver.Driver { return p.db.connector.Driver() }

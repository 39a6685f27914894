package perduresql

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// Dialer is the witness of what goes over the connections of a driver. Give it to
// the driver before [Open]:
//
//	cc.DialFunc = dialer.DialContext // pgx: *pgx.ConnConfig, then stdlib.GetConnector(*cc)
//	c.Dialer(dialer)                 // lib/pq: *pq.Connector
//
// With it a COMMIT of which nothing was written is known to be rolled back, a
// statement of which nothing was written is repeated, a connection that its
// server has left costs no caller an error, what a driver keeps to itself (the
// SQLSTATE of a FATAL, the reason of an end) is told, a driver that does not
// heed its context is stopped, and no CancelRequest is sent for a pending COMMIT.
// Without it perduresql is as correct and knows less: more commits are in doubt
// and have to be looked into, and a synchronous commit whose driver cancels it
// can be seen before it is replicated.
//
// On an encrypted connection it sees how much was written and whether reading
// ended, and not what the server says.
//
// The zero Dialer is ready. A Dialer serves one server or cluster, is safe for
// concurrent use and must not be copied.
type Dialer struct {
	// DialFunc makes the connection. Nil means that of a zero net.Dialer.
	DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex // guards the fields below
	wires map[*wire]struct{}
	dead  []deadWire // closed while their COMMIT was in doubt
}

// deadWire is a connection that was closed while a COMMIT was in doubt; its
// driver may still want to cancel it.
type deadWire struct {
	pid    uint32
	opaque bool
	at     time.Time
}

// rememberDead is for longer than the drivers try to clean up.
const rememberDead = 2 * time.Minute

// slot is how a dialler hands the witness of a connection to its link.
type slot struct{ w *wire }

type slotKey struct{}

// errNoCancel keeps a driver from sending a CancelRequest for a pending COMMIT:
// under synchronous replication it would end the wait, and the rows would be
// seen before they are replicated.
var errNoCancel = errors.New("no cancel request while a commit is pending")

// DialContext connects to address. Drivers call it.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dial := d.DialFunc
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s, ok := ctx.Value(slotKey{}).(*slot)
	if !ok {
		return &stranger{Conn: conn, d: d}, nil
	}
	w := &wire{Conn: conn, d: d}
	s.w = w
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wires == nil {
		d.wires = map[*wire]struct{}{}
	}
	d.wires[w] = struct{}{}
	return w, nil
}

// Dial connects to address. Drivers call it.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, 0)
}

// DialTimeout connects to address within timeout; zero means no limit. Drivers
// call it.
func (d *Dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx := context.Background() //nolint:forbidigo // the driver gives none
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return d.DialContext(ctx, network, address)
}

// gone forgets w, which was closed.
func (d *Dialer) gone(w *wire) {
	pid, opaque := w.backend()
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.wires[w]; !known {
		return
	}
	delete(d.wires, w)
	now := time.Now()
	for len(d.dead) > 0 && now.Sub(d.dead[0].at) > rememberDead {
		d.dead = d.dead[1:]
	}
	if w.committing.Load() {
		d.dead = append(d.dead, deadWire{pid: pid, opaque: opaque, at: now})
	}
}

// pending reports whether a COMMIT is pending or in doubt on the backend pid, or
// with a zero pid on any encrypted connection.
func (d *Dialer) pending(pid uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.wires {
		if p, opaque := w.backend(); w.committing.Load() && (p == pid && pid != 0 || opaque && pid == 0) {
			return true
		}
	}
	for _, w := range d.dead {
		if w.pid == pid && pid != 0 || w.opaque && pid == 0 {
			return true
		}
	}
	return false
}

// stranger is a connection that no link asked for: a driver dials it for a
// CancelRequest.
type stranger struct {
	net.Conn

	d      *Dialer
	looked bool
}

// Write refuses a CancelRequest for a pending COMMIT; behind TLS, where its
// process is not known, as long as any is pending.
func (s *stranger) Write(p []byte) (int, error) {
	if !s.looked && len(p) >= 8 {
		code := binary.BigEndian.Uint32(p[4:])
		s.looked = code != sslRequest
		switch {
		case code == cancelRequest && len(p) >= 12 && s.d.pending(binary.BigEndian.Uint32(p[8:])),
			code == sslRequest && s.d.pending(0), p[0] == tlsHandshake && s.d.pending(0):
			return 0, errNoCancel
		}
	}
	return s.Conn.Write(p)
}

package admin

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// bound keeps the number of open connections at n: beyond it the one that has
// been quiet for longest is closed, and if none is, new ones wait.
func bound(ln net.Listener, n int, quiet *quietConns) net.Listener {
	return &boundListener{Listener: ln, places: make(chan struct{}, n), done: make(chan struct{}), quiet: quiet}
}

// boundListener accepts a connection only when one of its places is free.
type boundListener struct {
	net.Listener

	places chan struct{}
	done   chan struct{}
	once   sync.Once
	quiet  *quietConns
}

// Accept waits for a connection, then for a place.
func (l *boundListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.places <- struct{}{}:
		return &boundConn{Conn: conn, places: l.places}, nil
	default:
	}
	l.quiet.want()
	defer l.quiet.enough()
	select {
	case l.places <- struct{}{}:
		return &boundConn{Conn: conn, places: l.places}, nil
	case <-l.done:
		_ = conn.Close() // there is nobody to serve it
		return nil, net.ErrClosed
	}
}

// Close ends an Accept that waits.
func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// boundConn gives its place back when it is closed.
type boundConn struct {
	net.Conn

	places chan struct{}
	once   sync.Once
}

// Close closes the connection.
func (c *boundConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.places })
	return err
}

// quietConns are the connections on which nobody waits for an answer: those on
// which nothing was said yet, as browsers open them in advance, and those kept
// for a next request. A Server that stops would wait five seconds for the
// former, and whoever holds enough of either would keep everybody else out, the
// probes too.
type quietConns struct {
	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]*list.Element
	oldest list.List // of net.Conn
	wanted bool      // the next one is closed
	over   bool
}

// note is an http.Server's ConnState.
func (q *quietConns) note(c net.Conn, state http.ConnState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.conns[c]; e != nil {
		q.oldest.Remove(e)
		delete(q.conns, c)
	}
	if state != http.StateNew && state != http.StateIdle {
		return
	}
	if q.over {
		_ = c.Close() // as close does
		return
	}
	if q.conns == nil {
		q.conns = map[net.Conn]*list.Element{}
	}
	q.conns[c] = q.oldest.PushBack(c)
	if q.wanted {
		q.wanted = !q.closeOldest()
	}
}

// want closes the connection that has been quiet for longest; if there is none,
// the next one that is, unless there is enough room before.
func (q *quietConns) want() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted = !q.closeOldest()
}

// enough ends want.
func (q *quietConns) enough() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted = false
}

func (q *quietConns) closeOldest() bool {
	e := q.oldest.Front()
	if e == nil {
		return false
	}
	c, _ := q.oldest.Remove(e).(net.Conn) // nothing else is in it
	delete(q.conns, c)
	_ = c.Close() // nobody is told: nobody asked
	return true
}

// close closes them, and those that come to be.
func (q *quietConns) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for q.closeOldest() {
	}
}

package admin

import (
	"net"
	"net/http"
	"sync"
)

// bound keeps the number of open connections at n: beyond it new ones wait.
func bound(ln net.Listener, n int) net.Listener {
	return &boundListener{Listener: ln, places: make(chan struct{}, n), done: make(chan struct{})}
}

// boundListener accepts a connection only when one of its places is free.
type boundListener struct {
	net.Listener

	places chan struct{}
	done   chan struct{}
	once   sync.Once
}

// Accept waits for a place, then for a connection.
func (l *boundListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &boundConn{Conn: conn, places: l.places}, nil
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

// silentConns are the connections on which nothing was said yet, as browsers
// open them in advance: a Server that stops would wait five seconds for them.
type silentConns struct {
	mu    sync.Mutex // guards the fields below
	conns map[net.Conn]struct{}
	over  bool
}

// note is an http.Server's ConnState.
func (s *silentConns) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != http.StateNew {
		delete(s.conns, c)
		return
	}
	if s.over {
		_ = c.Close() // as close does
		return
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[c] = struct{}{}
}

// close closes them.
func (s *silentConns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for c := range s.conns {
		_ = c.Close() // nobody is told: nobody asked
	}
}

package faultproxy

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A direction of a link.
type direction int

const (
	toServer direction = iota
	toClient
)

// lingerFor is how long an end that got FIN is still read from. Closing with unread
// data in the socket would send RST instead.
const lingerFor = 100 * time.Millisecond

// A link is one client's connection and the one to the server that serves it.
type link struct {
	proxy  *Proxy
	client *net.TCPConn
	server *net.TCPConn // set before the link is registered

	pid     atomic.Int64    // of the backend
	swallow [2]atomic.Bool  // by direction: read, and do not forward
	rate    [2]atomic.Int64 // by direction: bytes a second, zero is unlimited
	severed atomic.Bool     // one end's close is no longer told to the other
	done    chan struct{}   // closed when the link is being ended: nothing waits any more
	ending  sync.Once

	toClientMu sync.Mutex // serialises writes to the client

	mu   sync.Mutex // guards the fields below
	hold *time.Timer
}

// serve carries one connection from its acceptance to its end.
func (p *Proxy) serve(ctx context.Context, client *net.TCPConn) {
	l := &link{proxy: p, client: client, done: make(chan struct{})}
	if !p.waitGate(ctx.Done()) {
		reset(client)
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", *p.target.Load())
	tcp, ok := server.(*net.TCPConn)
	if err != nil || !ok {
		p.refused.Add(1)
		reset(client)
		return
	}
	l.server = tcp
	if !p.register(l) {
		l.end(RST)
		return
	}
	defer p.forget(l)
	defer l.release()
	framed, err := l.negotiate()
	if err != nil {
		l.end(RST)
		return
	}
	var pumps sync.WaitGroup
	up, down := newPump(l, toServer, framed), newPump(l, toClient, framed)
	pumps.Go(up.run)
	pumps.Go(down.run)
	pumps.Wait()
}

// register makes the link known to CutAll; it refuses when the proxy is ending.
func (p *Proxy) register(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// waitGate waits out a Pause; it reports false when stop ends first.
func (p *Proxy) waitGate(stop <-chan struct{}) bool {
	for {
		gate := p.gate.Load()
		if gate == nil {
			return true
		}
		select {
		case <-*gate:
		case <-stop:
			return false
		}
	}
}

func (l *link) dst(d direction) *net.TCPConn {
	if d == toServer {
		return l.server
	}
	return l.client
}

func (l *link) src(d direction) *net.TCPConn { return l.dst(1 - d) }

// forward sends bytes on their way, or drops them when that way is broken.
func (l *link) forward(d direction, b []byte) error {
	if len(b) == 0 || !l.proxy.waitGate(l.done) || l.swallow[d].Load() {
		return nil
	}
	for len(b) > 0 {
		chunk := b
		if rate := l.rate[d].Load(); rate > 0 {
			const slices = 50 // a second
			chunk = b[:min(len(b), max(1, int(rate/slices)))]
			if !l.wait(time.Duration(len(chunk)) * time.Second / time.Duration(rate)) {
				return nil
			}
		}
		if err := l.write(d, chunk); err != nil {
			return err
		}
		b = b[len(chunk):]
	}
	return nil
}

func (l *link) write(d direction, b []byte) error {
	count := &l.proxy.toServer
	if d == toClient {
		count = &l.proxy.toClient
		l.toClientMu.Lock()
		defer l.toClientMu.Unlock()
	}
	n, err := l.dst(d).Write(b)
	count.Add(int64(n))
	return err
}

// wait reports false when the link ends before the time is over.
func (l *link) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

// match returns the first rule that strikes at a message, or nil.
func (l *link) match(msg Message, text string) *RuleHandle {
	if msg == 0 {
		return nil
	}
	for _, h := range *l.proxy.rules.Load() {
		if h.rule.Match.fits(msg, text) && h.strikes() {
			return h
		}
	}
	return nil
}

// mute silences the opposite direction before a message goes out behind which a cut
// will strike: the answer must not be faster than the cut.
func (l *link) mute(r Rule, opposite direction) {
	switch r.Action {
	case FIN, RST, Fatal:
		l.swallow[opposite].Store(true)
	case BlackHole:
		if r.Side == Both || (r.Side == ClientSide) == (opposite == toClient) {
			l.swallow[opposite].Store(true)
		}
	case Notify, Delay, Throttle:
	}
}

// strike carries a fault out. What it does to the message at hand it does
// through the link's state: a message that is forwarded after a cut is dropped.
func (l *link) strike(h *RuleHandle, d direction, msg Message, text string) {
	r := h.rule
	p := l.proxy
	p.mu.Lock()
	p.faults[r.Name]++ // before anybody can notice
	p.mu.Unlock()
	switch r.Action {
	case Notify:
	case FIN, RST:
		l.cut(r)
	case BlackHole:
		l.severed.Store(true)
		if r.Side != ClientSide {
			l.swallow[toServer].Store(true)
		}
		if r.Side != ServerSide {
			l.swallow[toClient].Store(true)
		}
		l.endAfter(r.Hold)
	case Delay:
		l.wait(r.Delay)
	case Throttle:
		l.rate[d].Store(int64(r.Rate))
	case Fatal:
		l.fatal(r.SQLState)
	}
	if p.cfg.OnFault != nil {
		p.cfg.OnFault(Fault{
			Rule: r.Name, Message: msg, Text: text, Action: r.Action, When: r.When,
			BackendPID: int(l.pid.Load()), At: time.Now(),
		})
	}
}

// cut ends one side or both. With one side the other stays open and silent.
func (l *link) cut(r Rule) {
	if r.Side == Both {
		l.end(r.Action)
		return
	}
	end := l.client
	if r.Side == ServerSide {
		end = l.server
	}
	l.severed.Store(true)
	l.swallow[toServer].Store(true)
	l.swallow[toClient].Store(true)
	l.endAfter(r.Hold)
	if r.Action == RST {
		reset(end)
		return
	}
	finish(end)
}

// fatal makes up the last words of a server.
func (l *link) fatal(code string) {
	e := pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "injected by the fault proxy",
	}
	if b, err := e.Encode(nil); err == nil {
		_ = l.write(toClient, b) // a client that is gone needs no last words
	}
	l.end(FIN)
}

// end ends both sides with FIN or RST.
func (l *link) end(how Action) {
	l.severed.Store(true)
	l.swallow[toServer].Store(true)
	l.swallow[toClient].Store(true)
	l.ending.Do(func() { close(l.done) })
	for _, c := range []*net.TCPConn{l.client, l.server} {
		if how == FIN {
			finish(c)
		} else {
			reset(c)
		}
	}
}

// endAfter resets what is left of the link after a time; zero is never.
func (l *link) endAfter(hold time.Duration) {
	if hold <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold == nil {
		l.hold = time.AfterFunc(hold, func() { l.end(RST) })
	}
}

// release closes what is still open when both directions are at their end.
func (l *link) release() {
	l.mu.Lock()
	if l.hold != nil {
		l.hold.Stop()
	}
	l.mu.Unlock()
	_ = l.client.Close() // both are closed already in most cases
	_ = l.server.Close()
}

// reset closes with RST.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails on a closed connection only
	}
	_ = c.Close()
}

// finish sends FIN behind what has been written, and lets the pump read on for a moment.
func finish(c *net.TCPConn) {
	_ = c.CloseWrite() // fails when the other end was faster
	_ = c.SetDeadline(time.Now().Add(lingerFor))
}

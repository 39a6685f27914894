package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how to make a proxy.
type Config struct {
	// Target is the address of the server, host:port; it must be set.
	Target string
	// Listen is the address to listen on. Empty means a free port on 127.0.0.1.
	Listen string
	// Seed makes the chances repeatable, see the package's documentation.
	Seed uint64
	// PassTLS lets client and server negotiate encryption, which blinds the
	// proxy. Zero means that the proxy answers that there is none.
	PassTLS bool
	// OnFault is called for each fault, after it has struck, on the goroutine of
	// that direction of the connection: nothing more is forwarded there until it returns. It
	// may be called concurrently, and may take its time; it must not call Close. Nil is off.
	OnFault func(Fault)
}

// A Fault is one strike of a rule.
type Fault struct {
	Rule       string  // Rule is the rule's name.
	Message    Message // Message is what matched; a rule for Run gets Query or Execute.
	Text       string  // Text is what the message carried: SQL, tag, SQLSTATE.
	Action     Action  // Action is what was done.
	When       When    // When tells whether the message was forwarded.
	BackendPID int     // BackendPID is the server's process for the connection, zero before login.
	At         time.Time
}

// Stats counts what a proxy has done.
type Stats struct {
	Connections   int64            // Connections counts those accepted, refused ones included.
	Open          int64            // Open is how many are open now, black holes included.
	Cancels       int64            // Cancels counts the CancelRequests among them.
	Refused       int64            // Refused counts those reset by Refuse, or because the server refused.
	HangUps       int64            // HangUps counts the clients that were told that the server closed their connection.
	BytesToServer int64            // BytesToServer counts forwarded bytes.
	BytesToClient int64            // BytesToClient counts forwarded bytes.
	Faults        map[string]int64 // Faults counts strikes by the rule's name.
}

// A Proxy forwards connections to a server and breaks them by rules. It is safe for
// concurrent use.
type Proxy struct {
	cfg      Config
	listener net.Listener
	target   atomic.Pointer[string]
	refuse   atomic.Bool
	rules    atomic.Pointer[[]*RuleHandle] // replaced, never changed
	gate     atomic.Pointer[chan struct{}] // nil: open; else closed by Resume

	closing chan struct{} // closed by Close
	done    chan struct{} // closed at the end of Run

	accepted, cancels, refused, hangUps, toServer, toClient atomic.Int64

	mu      sync.Mutex // guards the fields below
	running bool
	closed  bool
	ended   bool // no more links
	ordinal uint64
	links   map[*link]struct{}
	faults  map[string]int64
}

// New makes a proxy and listens, so that Addr is known and connections wait; Run
// serves them. Whoever called New must call Close, or Run until its context ends.
func New(cfg Config) (*Proxy, error) {
	if _, _, err := net.SplitHostPort(cfg.Target); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", cfg.Listen) //nolint:noctx // binding a local port does not wait
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &Proxy{
		cfg: cfg, listener: l, links: map[*link]struct{}{}, faults: map[string]int64{},
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	p.target.Store(&cfg.Target)
	p.rules.Store(new([]*RuleHandle))
	return p, nil
}

// Run serves until ctx ends or Close is called, then resets all connections, waits for
// its goroutines and returns nil. It may be called once.
func (p *Proxy) Run(ctx context.Context) error {
	p.mu.Lock()
	running, closed := p.running, p.closed
	p.running = !closed
	p.mu.Unlock()
	if running {
		return errors.New("proxy was run before")
	}
	if closed {
		return nil
	}
	defer close(p.done)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var served sync.WaitGroup
	served.Go(func() {
		select {
		case <-ctx.Done():
		case <-p.closing:
		}
		cancel()
		_ = p.listener.Close() // ends Accept; closed twice is all that can be wrong with it
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.CutAll(RST)
	})
	err := p.accept(ctx, &served)
	cancel()
	served.Wait()
	return err
}

func (p *Proxy) accept(ctx context.Context, served *sync.WaitGroup) error {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept: %w", err)
			}
			return nil // closing the listener is how Run ends
		}
		p.accepted.Add(1)
		tcp, ok := client.(*net.TCPConn)
		if !ok || p.refuse.Load() {
			p.refused.Add(1)
			reset(client)
			continue
		}
		served.Go(func() { p.serve(ctx, tcp) })
	}
}

// Close ends Run, resets all connections and waits until all is gone. It may be called
// more than once, and before Run, which then returns at once.
func (p *Proxy) Close() error {
	p.mu.Lock()
	running, closed := p.running, p.closed
	p.closed = true
	p.mu.Unlock()
	if !closed {
		close(p.closing)
	}
	if running {
		<-p.done
		return nil
	}
	if closed {
		return nil
	}
	return p.listener.Close()
}

// Addr returns the address to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget sends new connections to another server, such as a promoted replica.
func (p *Proxy) SetTarget(addr string) { p.target.Store(&addr) }

// Refuse resets new connections as long as it is true. Open ones go on.
func (p *Proxy) Refuse(refuse bool) { p.refuse.Store(refuse) }

// Pause stops forwarding on all connections, old and new, which stay open.
// Nothing is lost: Resume forwards what has been sent meanwhile.
func (p *Proxy) Pause() {
	gate := make(chan struct{})
	p.gate.CompareAndSwap(nil, &gate)
}

// Resume ends Pause.
func (p *Proxy) Resume() {
	if gate := p.gate.Swap(nil); gate != nil {
		close(*gate)
	}
}

// CutAll cuts all connections, both sides, with FIN or RST.
func (p *Proxy) CutAll(how Action) {
	p.mu.Lock()
	links := slices.Collect(maps.Keys(p.links))
	p.mu.Unlock()
	for _, l := range links {
		l.end(how)
	}
}

// Add puts a rule in force, after those that are there; the first rule
// that strikes at a message is the only one that does. Rules keep their own counts.
func (p *Proxy) Add(r Rule) (*RuleHandle, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ordinal++
	h := &RuleHandle{
		rule: r, proxy: p,
		random: rand.New(rand.NewPCG(p.cfg.Seed, p.ordinal)), //nolint:gosec // it has to be repeatable
	}
	rules := append(slices.Clone(*p.rules.Load()), h)
	p.rules.Store(&rules)
	return h, nil
}

func (p *Proxy) remove(h *RuleHandle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rules := slices.DeleteFunc(slices.Clone(*p.rules.Load()), func(other *RuleHandle) bool { return other == h })
	p.rules.Store(&rules)
}

// Stats returns the counts so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Connections: p.accepted.Load(), Open: int64(len(p.links)), Cancels: p.cancels.Load(), Refused: p.refused.Load(),
		HangUps:       p.hangUps.Load(),
		BytesToServer: p.toServer.Load(), BytesToClient: p.toClient.Load(), Faults: maps.Clone(p.faults),
	}
}

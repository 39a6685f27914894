package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// The limits that keep slow and greedy clients from harm.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second // headers and body
	writeTimeout      = 30 * time.Second // the whole answer; of a stream, each write
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
	maxBodyBytes      = 4 << 10
	maxConnections    = 256
	maxStreams        = 64
)

// Server is the admin listener. It is safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	handler http.Handler
	gate    *gate
	streams chan struct{} // a place for each
	ending  context.Context
	end     context.CancelFunc
}

// New returns a Server, or every fault of cfg joined. It does no I/O and starts
// no goroutine.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Auditor == nil {
		cfg.Auditor = logAuditor{cfg.Logger}
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	s := &Server{cfg: cfg, log: cfg.Logger, gate: newGate(cfg), streams: make(chan struct{}, maxStreams)}
	s.ending, s.end = context.WithCancel(context.Background())
	routes, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.handler = s.outer(routes)
	return s, nil
}

// Handler returns everything that the Server serves.
func (s *Server) Handler() http.Handler { return s.handler }

// RemoteError says that an address can be reached from other machines and that
// nobody asked for that.
type RemoteError struct{ Addr string }

// Error returns the address and why it is refused.
func (e *RemoteError) Error() string {
	return e.Addr + " can be reached from other machines: it is opened only if you say so, and reading then needs a token"
}

// Listen opens an address, host:port. A host that is neither a loopback address
// nor localhost, or none at all, is refused with a *RemoteError unless remote is
// set.
func Listen(ctx context.Context, addr string, remote bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ip, err := netip.ParseAddr(host)
	loopback := host == "localhost" || err == nil && ip.IsLoopback()
	if !loopback && !remote {
		return nil, &RemoteError{addr}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && !remote { // localhost may be anything
		return nil, errors.Join(&RemoteError{ln.Addr().String()}, ln.Close())
	}
	return ln, nil
}

// Run serves ln until ctx ends; then it takes no new connections, ends the
// streams, and waits for the other requests, for Config.Grace at most. It closes
// ln and returns nil on a clean stop.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	quiet := &quietConns{}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(dampened{s.log.Handler()}, slog.LevelDebug),
		ConnState:         quiet.note,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(bound(ln, maxConnections, quiet)) }()
	select {
	case err := <-served:
		s.end()
		return err
	case <-ctx.Done():
	}
	s.end()
	quiet.close()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	err := server.Shutdown(late)
	if err != nil {
		err = errors.Join(fmt.Errorf("admin: requests were still running after %v", s.cfg.Grace), server.Close())
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// dampened passes on what the HTTP server says of bad clients, such as a failed
// TLS handshake or a connection that was reset; a text of theirs may be in it,
// so only the fact is kept.
type dampened struct{ slog.Handler }

// Handle keeps the fact.
func (d dampened) Handle(ctx context.Context, r slog.Record) error {
	short := slog.NewRecord(r.Time, r.Level, "a connection was not served as HTTP wants it", 0)
	return d.Handler.Handle(ctx, short)
}

package perdurepgx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/internal/sqlname"
)

// openWait is how long Open waits for a first answer of the server; one that
// is down does not keep a program from starting.
const openWait = time.Second

// DB is a guarded pool. It is safe for concurrent use. Its methods have the
// shape of sqlc's DBTX.
type DB struct {
	cfg        Config
	m          *perdure.Manager
	pool       *pgxpool.Pool
	base       *pgxpool.Config // the user's, for connections of perdure's own
	names      *sqlname.Names
	paces      adapter.Paces
	wires      adapter.Watchdog[*wire]
	start      time.Time
	lateWithin time.Duration // see the constant
	unhook     func()
	unprobe    func()

	factsEpoch atomic.Int64
	method     atomic.Uint32 // Outcome; Auto until learned
	syncLevel  atomic.Pointer[string]
	resolver   *outcome.Resolver

	closeOnce  sync.Once
	life       context.Context //nolint:containedctx // of what db runs in the background
	closed     <-chan struct{}
	end        context.CancelFunc
	background sync.WaitGroup
	open       sync.WaitGroup // transactions, with their doubts
}

// Open makes a pool from a copy of pool, guarded by m, and attaches its probe
// to m: a Manager guards one database, so a second Open with it is an error.
// All hooks of pool stay in use; perdure's run beside them.
//
// Open asks the server once how outcomes can be resolved. A server that is
// down, or not there yet, is no error: the first transaction asks again.
func Open(ctx context.Context, pool *pgxpool.Config, m *perdure.Manager, cfg Config) (*DB, error) {
	switch {
	case pool == nil:
		return nil, errors.New("perdurepgx: the pool's Config is nil: make one with pgxpool.ParseConfig")
	case pool.ConnConfig == nil:
		return nil, errors.New("perdurepgx: the pool's Config has no ConnConfig: make it with pgxpool.ParseConfig")
	case m == nil:
		return nil, errors.New("perdurepgx: the Manager is nil: make one with perdure.New")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("perdurepgx: %w", err)
	}
	db := &DB{
		cfg: cfg.withDefaults(), m: m, base: pool.Copy(), start: time.Now(), lateWithin: lateWithin,
		names: sqlname.New(cfg.Ops),
	}
	db.life, db.end = context.WithCancel(context.WithoutCancel(ctx))
	db.closed = db.life.Done()
	db.resolver = outcome.NewResolver(outcome.Config{
		Dial: db.session, State: answerOf, Level: db.level, Go: db.background.Go, Closed: db.closed, Limit: db.cfg.ResolveTimeout,
	})
	if c := db.base.ConnConfig; !db.cfg.Standbys && c.ValidateConnect == nil && manyHosts(c) {
		// With a list of hosts to choose from, a standby is not chosen for writes.
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	p, err := pgxpool.NewWithConfig(ctx, db.wiredConfig())
	if err != nil {
		db.end()
		return nil, err
	}
	db.pool = p
	if db.unprobe, err = m.SetProbe(db.probe); err != nil {
		p.Close()
		db.end()
		return nil, err
	}
	db.unhook = m.AddHooks(perdure.Hooks{BreakerChange: db.drain})
	db.background.Go(db.watch)
	askCtx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	_ = db.ask(askCtx) // see the doc comment
	return db, nil
}

// manyHosts reports whether c names more than one server. A fallback may also be
// the same server without TLS.
func manyHosts(c *pgx.ConnConfig) bool {
	for _, f := range c.Fallbacks {
		if f.Host != c.Host || f.Port != c.Port {
			return true
		}
	}
	return false
}

// wiredConfig returns the configuration of the pool with the witness in it.
func (db *DB) wiredConfig() *pgxpool.Config {
	c := db.base.Copy()
	before, prepare, closing := c.BeforeConnect, c.PrepareConn, c.BeforeClose
	acquire := c.BeforeAcquire //nolint:staticcheck // deprecated, and in use all the same
	c.BeforeConnect = func(ctx context.Context, cc *pgx.ConnConfig) error {
		if before != nil {
			if err := before(ctx, cc); err != nil {
				return err
			}
		}
		w := &wire{epoch: db.start}
		w.attach(cc)
		return nil
	}
	after := c.AfterConnect
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if after != nil {
			if err := after(ctx, conn); err != nil {
				return err
			}
		}
		if w := wireOf(conn.PgConn()); w != nil {
			db.wires.Add(w)
		}
		return nil
	}
	c.BeforeClose = func(conn *pgx.Conn) {
		db.wires.Remove(wireOf(conn.PgConn()))
		if closing != nil {
			closing(conn)
		}
	}
	c.BeforeAcquire = nil //nolint:staticcheck // PrepareConn calls it
	c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		if !fresh(conn) {
			return false, nil
		}
		if prepare != nil {
			return prepare(ctx, conn)
		}
		return acquire == nil || acquire(ctx, conn), nil
	}
	return c
}

// ask learns from the server, on a connection of the pool, how outcomes are resolved.
func (db *DB) ask(ctx context.Context) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	pc := conn.Conn().PgConn()
	_, err = db.learn(ctx, pc, wireOf(pc))
	return err
}

// relearn makes every connection ask again what its server is.
func (db *DB) relearn() { db.factsEpoch.Add(1) }

// Outcome returns how a commit in doubt is resolved: Token or Marker, or Auto
// as long as no server has been asked. It may change after a failover and
// after [DB.Migrate].
func (db *DB) Outcome() Outcome {
	if db.cfg.Outcome != Auto {
		return db.cfg.Outcome
	}
	return Outcome(db.method.Load()) //nolint:gosec // it was an Outcome
}

// Pool returns the pool, the door out: what runs on it directly is not guarded.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Manager returns the Manager that guards db.
func (db *DB) Manager() *perdure.Manager { return db.m }

// Close closes the pool, waits until its connections are back and until the
// outcome of each COMMIT is known (Config.ResolveTimeout at most), and ends
// everything that db runs in the background. Close the Manager first, so that
// nothing new begins. The Manager may afterwards guard another DB.
func (db *DB) Close() {
	db.closeOnce.Do(func() {
		db.unhook()
		db.pool.Close()
		db.open.Wait()
		db.unprobe()
		db.end()
		db.background.Wait()
	})
}

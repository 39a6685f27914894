package perduresql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/internal/sqlname"
)

// maxIdlePlaces is how many places for calls are kept; they hold no connection.
const maxIdlePlaces = 256

// DB is a guarded *sql.DB. It is safe for concurrent use. The settings of the
// pool (SetMaxOpenConns and the like) are DB's own methods: those of the
// embedded *sql.DB bound how many calls there may be at a time, waiting ones
// included.
type DB struct {
	// DB is for what asks for a *sql.DB, such as an ORM. Close it through [DB.Close].
	*sql.DB

	cfg       Config
	m         *perdure.Manager
	connector driver.Connector
	pool      *sql.DB // of the driver's connections
	names     *sqlname.Names
	paces     adapter.Paces
	links     adapter.Watchdog[*link]
	start     time.Time
	unhook    func()
	unprobe   func()

	era        atomic.Int64  // connections of an older one are not used again
	factsEpoch atomic.Int64  // facts of an older one are learned again
	method     atomic.Uint32 // Outcome; Auto until learned
	single     atomic.Bool   // the driver takes one statement for a query
	syncLevel  atomic.Pointer[string]
	resolver   *outcome.Resolver

	closeOnce  sync.Once
	base       context.Context //nolint:containedctx // of what db does for nobody's call; it does not end
	closed     <-chan struct{}
	end        context.CancelFunc
	background sync.WaitGroup
	open       sync.WaitGroup // transactions, with their doubts
}

// Open makes a DB of a driver's connector, guarded by m, and attaches its probe
// to m: a Manager guards one database, so a second Open with it is an error.
//
//	cc, _ := pgx.ParseConfig(url)
//	cc.DialFunc = dialer.DialContext // a *perduresql.Dialer
//	db, err := perduresql.Open(stdlib.GetConnector(*cc), m, perduresql.Config{})
//
// Like sql.OpenDB, Open does not connect. The first transaction asks the server
// how outcomes can be resolved.
func Open(connector driver.Connector, m *perdure.Manager, cfg Config) (*DB, error) {
	switch {
	case connector == nil:
		return nil, errors.New("perduresql: the connector is nil")
	case m == nil:
		return nil, errors.New("perduresql: the Manager is nil: make one with perdure.New")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("perduresql: %w", err)
	}
	db := &DB{cfg: cfg.withDefaults(), m: m, connector: connector, names: sqlname.New(cfg.Ops), start: time.Now()}
	db.base = context.Background() //nolint:forbidigo // like sql.OpenDB, Open is given no context
	var life context.Context
	life, db.end = context.WithCancel(db.base)
	db.closed = life.Done()
	db.resolver = outcome.NewResolver(outcome.Config{
		Dial: db.session, State: answerOf, Level: db.level, Go: db.background.Go, Closed: db.closed, Limit: db.cfg.ResolveTimeout,
	})
	var err error
	if db.unprobe, err = m.SetProbe(db.probe); err != nil {
		db.end()
		return nil, err
	}
	db.pool = sql.OpenDB(&dialled{db: db})
	db.DB = sql.OpenDB(&places{db: db})
	db.DB.SetMaxIdleConns(maxIdlePlaces)
	db.unhook = m.AddHooks(perdure.Hooks{BreakerChange: db.drain})
	db.background.Go(db.watch)
	return db, nil
}

// Outcome returns how a commit in doubt is resolved: Token or Marker, or Auto
// as long as no server has been asked. It may change after a failover and
// after [DB.Migrate].
func (db *DB) Outcome() Outcome {
	if db.cfg.Outcome != Auto {
		return db.cfg.Outcome
	}
	return Outcome(db.method.Load()) //nolint:gosec // it was an Outcome
}

// Manager returns the Manager that guards db.
func (db *DB) Manager() *perdure.Manager { return db.m }

// SetMaxOpenConns limits the connections, as sql.DB's does. The prober and the
// resolver each use one beside them, now and then.
func (db *DB) SetMaxOpenConns(n int) { db.pool.SetMaxOpenConns(n) }

// SetMaxIdleConns limits the idle connections, as sql.DB's does.
func (db *DB) SetMaxIdleConns(n int) { db.pool.SetMaxIdleConns(n) }

// SetConnMaxLifetime limits the age of connections, as sql.DB's does.
func (db *DB) SetConnMaxLifetime(d time.Duration) { db.pool.SetConnMaxLifetime(d) }

// SetConnMaxIdleTime limits how long connections are idle, as sql.DB's does.
func (db *DB) SetConnMaxIdleTime(d time.Duration) { db.pool.SetConnMaxIdleTime(d) }

// Stats returns the statistics of the connections.
func (db *DB) Stats() sql.DBStats { return db.pool.Stats() }

// Close closes the pool, waits until the outcome of each COMMIT is known
// (Config.ResolveTimeout at most), and ends everything that db runs in the
// background. Close the Manager first, so that nothing new begins. The Manager
// may afterwards guard another DB.
func (db *DB) Close() error {
	var err error
	db.closeOnce.Do(func() {
		db.unhook()
		err = db.DB.Close()
		db.open.Wait()
		err = errors.Join(err, db.pool.Close())
		db.unprobe()
		db.end()
		db.background.Wait()
	})
	return err
}

// relearn makes every connection ask again what its server is.
func (db *DB) relearn() { db.factsEpoch.Add(1) }

// level returns the synchronous_commit of the pool's connections, if it is known.
func (db *DB) level() string {
	if level := db.syncLevel.Load(); level != nil {
		return *level
	}
	return ""
}

// drain gives the connections up when the prober has found the database down, or
// a primary demoted: what comes next is dialled anew.
func (db *DB) drain(e perdure.BreakerEvent) {
	if e.Operation == databaseOperation && e.Change.To.String() == stateOpen {
		db.relearn()
		db.era.Add(1)
	}
}

const (
	databaseOperation = "database"
	stateOpen         = "open"
)

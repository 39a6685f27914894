package perduredbos

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/perdure/perdure/pipeline"
)

// Config says where runs are kept and what their steps are run with. Exactly one
// of Dir and DatabaseURL must be set.
type Config struct {
	// Dir is a directory on a local disk for a SQLite database and locks. It is
	// made when the first run begins, for its owner alone. Several processes may use it at once.
	Dir string
	// DatabaseURL is a PostgreSQL to keep runs in, as a URL or as key=value. It should not be
	// the database that the pipelines work on: a run that is to survive its loss must not be lost with it. The
	// database is made if it is not there.
	DatabaseURL string
	// Schema is for the tables in the PostgreSQL. Zero means perdure_runs.
	Schema string
	// Env is what steps are run with.
	Env pipeline.Env
	// Poll is how often a run looks whether it was canceled or taken over elsewhere. Zero means 1 s.
	Poll time.Duration
	// Log gets what happens to runs, and what DBOS has to say. Nil means slog.DiscardHandler.
	Log *slog.Logger
}

// Engine is a [pipeline.Durable] on DBOS. It is safe for concurrent use; several
// runs may be at work in it at once.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	state state

	mu     sync.Mutex // guards the fields below
	client dbos.Client
	closed bool
	active sync.WaitGroup
}

var _ pipeline.Durable = (*Engine)(nil)

// ErrClosed says that the engine was closed before.
var ErrClosed = errors.New("the engine is closed")

// Open returns an engine. It reads what is there and makes nothing: the state is made
// when the first run begins. A state that cannot be used is a [*StateError].
// The engine must be closed.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Schema == "" {
		cfg.Schema = "perdure_runs"
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	var faults []error
	if (cfg.Dir == "") == (cfg.DatabaseURL == "") {
		faults = append(faults, errors.New("dir, database_url: exactly one of them says where runs are kept"))
	}
	if cfg.Poll < 0 {
		faults = append(faults, errors.New("poll: is negative"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, log: cfg.Log}
	if cfg.Dir != "" {
		e.state = &directory{path: cfg.Dir}
	} else {
		pg, err := openPostgres(ctx, cfg.DatabaseURL, cfg.Schema)
		if err != nil {
			return nil, err
		}
		e.state = pg
	}
	if _, err := e.reader(ctx); err != nil && !outdated(err) { // the first run brings it up to date
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close waits for the runs that are at work, which their contexts or Stop must have ended, and lets go of
// the state.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	client := e.client
	e.client = nil
	e.mu.Unlock()
	e.active.Wait()
	if client != nil {
		if err := dbos.Shutdown(client, shutdownTime); err != nil {
			e.log.Warn("state not closed in time", slog.Any("error", err))
		}
	}
	return e.state.close()
}

// begin counts a run as active, unless the engine is closed.
func (e *Engine) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.active.Add(1)
	return nil
}

// reader returns a client of the state whose calls end with ctx, or nil if there is no state yet.
func (e *Engine) reader(ctx context.Context) (dbos.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	if e.client == nil {
		c, err := e.connect(ctx)
		if err != nil || c == nil {
			return nil, err
		}
		e.client = c
	}
	if c, ok := e.client.(dbos.Context); ok {
		return dbos.From(c, ctx), nil
	}
	return e.client, nil
}

// connect returns a client of the state, or nil if there is no state yet.
func (e *Engine) connect(ctx context.Context) (dbos.Client, error) {
	there, err := e.state.there(ctx)
	if err != nil || !there {
		return nil, err
	}
	db, err := e.state.database(ctx, false)
	if err != nil {
		return nil, err
	}
	c, err := dbos.NewClient(context.WithoutCancel(ctx), dbos.ClientConfig{
		AppName: appName, DatabaseURL: db.url, SQLiteSystemDB: db.sqlite, DatabaseSchema: db.schema,
		Logger: slog.New(demoted{Handler: e.log.Handler()}), SystemDBStartupTimeout: startupTime,
	})
	if err != nil {
		db.close()
		return nil, e.state.fault(err)
	}
	return c, nil
}

// prepare makes the state, or brings it up to date, before the first run in this process.
func (e *Engine) prepare(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client != nil {
		return nil
	}
	if err := e.state.create(ctx); err != nil {
		return err
	}
	c, err := e.connect(ctx)
	if c == nil || err != nil {
		if c != nil || err != nil && !outdated(err) {
			return err
		}
		if err := e.migrate(ctx); err != nil {
			return err
		}
		if c, err = e.connect(ctx); err != nil {
			return err
		}
	}
	e.client = c
	return nil
}

// migrate makes the tables of DBOS, or changes them to what this version of it needs.
func (e *Engine) migrate(ctx context.Context) error {
	db, err := e.state.database(ctx, true)
	if err != nil {
		return err
	}
	d, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName: appName, DatabaseURL: db.url, SQLiteSystemDB: db.sqlite, DatabaseSchema: db.schema,
		Logger: slog.New(demoted{Handler: e.log.Handler()}), ApplicationVersion: appVersion, ExecutorID: newExecutor(), SystemDBStartupTimeout: startupTime,
	})
	if err != nil {
		db.close()
		return e.state.fault(err)
	}
	return e.state.fault(dbos.Shutdown(d, shutdownTime))
}

// outdated reports whether the tables are those of an older version, or not all there yet.
func outdated(err error) bool {
	// DBOS has no code of its own for it, and keeps the text alone.
	return err != nil && strings.Contains(err.Error(), "is at schema version")
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/cmd/perdure/internal/console"
	"github.com/perdure/perdure/health"
	"github.com/perdure/perdure/perdureaudit"
	"github.com/perdure/perdure/perdurelog"
	"github.com/perdure/perdure/perdurepgx"
)

// ping is the sign of life that the daemon asks a database for. It is guarded
// like any call, so that its metrics tell of a daemon that does nothing else. It
// is not repeated: the next one comes soon.
const ping = "perdure.ping"

const (
	pingTimeout = 2 * time.Second // of one
	askAgain    = time.Second     // after one without an answer
)

var errNotAsked = errors.New("the database was not asked yet")

// guard is one database with all that belongs to it.
type guard struct {
	name     string
	every    time.Duration
	manager  *perdure.Manager
	db       *perdurepgx.DB         // nil: none was configured
	recorder *perdureaudit.Recorder // nil: no trail is kept
	log      *slog.Logger

	mu   sync.Mutex // guards the field below
	last error      // of the last sign of life
}

// newGuard makes the Manager, without its database.
func newGuard(cfg config.Manager, trail *audit.Trail, log, events *slog.Logger) (*guard, error) {
	g := &guard{name: cfg.Name, every: cfg.CheckEvery, log: log.With(slog.String("manager", cfg.Name)), last: errNotAsked}
	cfg.Logger = log
	cfg.Hooks = perdurelog.Hooks(events, perdurelog.Config{Manager: cfg.Name})
	var err error
	if trail != nil {
		if g.recorder, err = perdureaudit.New(trail, perdureaudit.Config{Manager: cfg.Name, Logger: log}); err != nil {
			return nil, err
		}
		cfg.Hooks = perdure.JoinHooks(cfg.Hooks, g.recorder.Hooks())
	}
	g.manager, err = perdure.New(cfg.Config)
	return g, err
}

// open opens the database, which may be away.
func (g *guard) open(ctx context.Context, d config.Database, standbys bool) error {
	if !d.Named {
		g.last = nil
		return nil
	}
	pool, err := pgxpool.ParseConfig(d.URL)
	if err != nil {
		return fmt.Errorf("manager %s: its database URL cannot be used", g.name) // err may hold the password
	}
	if pool.ConnConfig.RuntimeParams["application_name"] == "" {
		pool.ConnConfig.RuntimeParams["application_name"] = "perdure"
	}
	g.db, err = perdurepgx.Open(ctx, pool, g.manager, perdurepgx.Config{Standbys: standbys})
	return err
}

// watch asks the database for a sign of life until ctx ends: every so often
// while it answers, every second while it does not, so that there is evidence
// for the breaker.
func (g *guard) watch(ctx context.Context) {
	if g.db == nil {
		return
	}
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		if g.ask(ctx) {
			wait.Reset(g.every)
		} else {
			wait.Reset(min(g.every, askAgain))
		}
	}
}

// ask reports whether the database answers. While the breaker is open only the
// prober asks: a call would be refused, and tell nothing.
func (g *guard) ask(ctx context.Context) bool {
	if g.manager.Breaker("database").State() == breaker.Open {
		return false
	}
	op := perdure.Op{Name: ping, ReadOnly: true, Policy: &perdure.Policy{MaxAttempts: 1, AttemptTimeout: pingTimeout}}
	var one int
	err := g.db.QueryRow(perdure.WithOp(ctx, op), "select 1").Scan(&one)
	if ctx.Err() != nil { // it was we who ended it
		return err == nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if first := errors.Is(g.last, errNotAsked); first || (err == nil) != (g.last == nil) {
		if err == nil {
			g.log.LogAttrs(ctx, slog.LevelInfo, "the database answers")
		} else {
			g.log.LogAttrs(ctx, slog.LevelWarn, "the database does not answer", slog.Any("error", err))
		}
	}
	g.last = err
	return err == nil
}

// check says whether the database is there. It asks nobody: watch does. A lax one
// warns where it would fail, once the database was asked.
func (g *guard) check(lax bool) health.Check {
	follow := console.Follow([]*perdure.Manager{g.manager})[0]
	if !lax {
		follow = health.Failing(follow)
	}
	return health.Check{
		Name: console.CheckName(g.name), Interval: -1, Fall: 1, Rise: 1,
		Run: func(ctx context.Context) error {
			g.mu.Lock()
			last := g.last
			g.mu.Unlock()
			switch {
			case last == nil:
			case lax && !errors.Is(last, errNotAsked):
				return health.Away(last)
			default:
				return last
			}
			return follow.Run(ctx)
		},
	}
}

// close ends the Manager, then its database, waiting until ctx ends.
func (g *guard) close(ctx context.Context) error {
	err := g.manager.Close(ctx) // first: open outcomes need the pool
	if g.db != nil {
		g.db.Close()
	}
	if err != nil {
		return fmt.Errorf("manager %s: %w", g.name, err)
	}
	return nil
}

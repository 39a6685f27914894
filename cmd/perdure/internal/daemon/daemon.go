// Package daemon is "perdure serve": Managers with their databases, their state
// kept over restarts, an audit trail, and the admin listener.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/cmd/perdure/internal/console"
	"github.com/perdure/perdure/cmd/perdure/internal/state"
	"github.com/perdure/perdure/health"
	"github.com/perdure/perdure/perdureprom"
	"github.com/perdure/perdure/pipeline"
)

// Config configures a run of the daemon.
type Config struct {
	Effective *config.Effective
	Version   string
	Logger    *slog.Logger
	// Events gets what package perdurelog says of the Managers. It holds no text of an error, so that nothing
	// has to be taken out of it, and redaction would take its hints.
	Events *slog.Logger
	// Stop is closed when the daemon has to end in good order.
	Stop <-chan struct{}
	// Grace is how long calls and open outcomes may take to end.
	Grace time.Duration
	// Runs are shown on the page and in the API. Nil means none.
	Runs pipeline.Durable
	// Listening is called with the listener's address. Nil means that nobody is told.
	Listening func(addr net.Addr)
}

// daemon is what runs.
type daemon struct {
	Config

	dir     *state.Dir
	trail   *audit.Trail // nil: none is kept
	guards  []*guard
	saver   *saver
	console *console.Console
	ln      net.Listener // nil: off
}

// Run runs until cfg.Stop is closed or ctx ends. Then it says that it is not
// ready, waits, ends the Managers, and saves. It returns nil on a clean stop.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &daemon{Config: cfg}
	if d.dir, err = state.Open(cfg.Effective.StateDir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	defer func() { err = errors.Join(err, d.dir.Close()) }()
	if d.trail, err = openTrail(cfg.Effective.Audit); err != nil {
		return fmt.Errorf("audit trail: %w", err)
	}
	if d.trail != nil {
		defer func() { err = errors.Join(err, d.trail.Close()) }()
		if err := begin(ctx, d.trail, cfg.Effective, cfg.Version); err != nil {
			return fmt.Errorf("audit trail: %w", err)
		}
	}
	if err := d.prepare(ctx); err != nil {
		return errors.Join(err, d.close(ctx))
	}
	return d.run(ctx)
}

// prepare makes everything and opens what there is to open.
func (d *daemon) prepare(ctx context.Context) error {
	e := d.Effective
	var managers []*perdure.Manager
	for _, cfg := range e.Managers {
		g, err := newGuard(cfg, d.trail, d.Logger, d.Events)
		if err != nil {
			return err
		}
		d.guards = append(d.guards, g)
		managers = append(managers, g.manager)
	}
	d.saver = newSaver(d.dir, managers, d.Logger)
	d.saver.restore(ctx)
	if err := d.open(ctx); err != nil {
		return err
	}
	for _, w := range e.Warnings() {
		d.Logger.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.String("warning", w))
	}
	if e.Listen == config.Off {
		return nil
	}
	if err := d.makeConsole(ctx, managers); err != nil {
		return err
	}
	ln, err := admin.Listen(ctx, e.Listen, e.Admin.AllowRemote)
	if err != nil {
		return err
	}
	d.ln = ln
	return nil
}

// open opens all databases at once: each may take a second if it is away.
func (d *daemon) open(ctx context.Context) error {
	faults := make([]error, len(d.guards))
	var all sync.WaitGroup
	for i, g := range d.guards {
		g.manager.AddHooks(d.saver.hook())
		all.Go(func() { faults[i] = g.open(ctx, d.Effective.Databases()[i], d.Effective.Managers[i].Standbys) })
	}
	all.Wait()
	return errors.Join(faults...)
}

func (d *daemon) makeConsole(ctx context.Context, managers []*perdure.Manager) error {
	e := d.Effective
	tokens, err := e.Tokens()
	if err != nil {
		return err
	}
	for _, file := range tokens.Made {
		d.Logger.LogAttrs(ctx, slog.LevelInfo, "a token was made", slog.String("file", file))
	}
	checks := []health.Check{d.saver.check()}
	for _, g := range d.guards {
		checks = append(checks, g.check(e.ReadyWithoutDatabase))
	}
	a := admin.Config{
		Token: tokens.Admin, Remote: e.Admin.AllowRemote, ReadToken: tokens.Read, OpenMetrics: e.Admin.OpenMetrics,
		Hosts: e.Admin.AllowHosts, Logger: d.Logger,
	}
	if d.trail != nil {
		a.Auditor = auditor{d.trail}
		checks = append(checks, trailCheck(d.trail))
	}
	d.console, err = console.New(ctx, console.Config{Managers: managers, Checks: checks, Admin: a, Version: d.Version, Logger: d.Logger})
	if err != nil {
		return err
	}
	d.console.Remember(d.Runs)
	for _, g := range d.guards {
		if g.db != nil {
			if err := console.Pool(d.console, g.manager, g.db.Pool().Stat); err != nil {
				return err
			}
		}
	}
	if d.trail == nil {
		return nil
	}
	return d.console.Register(perdureprom.NewAudit(
		func() uint64 { return d.trail.Stats().Records },
		func() uint64 {
			lost := d.trail.Stats().Failures
			for _, g := range d.guards {
				lost += g.recorder.Stats().Dropped
			}
			return lost
		}))
}

// run is the time between the start and the end. What has to outlive something
// else has a context of its own.
func (d *daemon) run(ctx context.Context) error {
	quiet := context.WithoutCancel(ctx)
	var recorders, rest sync.WaitGroup
	recording, endRecording := context.WithCancel(quiet)
	working, endWork := context.WithCancel(quiet)
	serving, endServing := context.WithCancel(quiet)
	defer func() { endRecording(); endWork(); endServing() }()
	for _, g := range d.guards {
		if g.recorder != nil {
			recorders.Go(func() { _ = g.recorder.Run(recording) }) // it tells the logger
		}
		rest.Go(func() { g.watch(working) })
	}
	rest.Go(func() { d.saver.run(working, d.Effective.SaveEvery) })
	served := make(chan error, 1)
	if d.ln != nil {
		go func() { served <- d.console.Run(serving, d.ln) }()
		if d.Listening != nil {
			d.Listening(d.ln.Addr())
		}
	}
	d.Logger.LogAttrs(ctx, slog.LevelInfo, "perdure serves", slog.String("version", d.Version), slog.Int("managers", len(d.guards)))

	var failed error
	select {
	case failed = <-served:
		served <- nil
	case <-ctx.Done():
	case <-d.Stop:
		d.drain(ctx)
	}
	d.Logger.LogAttrs(ctx, slog.LevelInfo, "perdure ends")
	endWork()
	rest.Wait()
	err := d.close(ctx)
	endServing()
	if d.ln != nil {
		err = errors.Join(err, <-served)
	}
	err = errors.Join(failed, err, d.saver.save())
	endRecording() // last: what the others did on their way out belongs into the trail
	recorders.Wait()
	return err
}

// drain is the time in which whoever sends work can notice that none is wanted.
func (d *daemon) drain(ctx context.Context) {
	if d.console == nil {
		return
	}
	d.console.Drain()
	d.Logger.LogAttrs(ctx, slog.LevelInfo, "perdure drains: not ready", slog.Duration("drain_for", d.Effective.DrainFor))
	t := time.NewTimer(d.Effective.DrainFor)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// close ends the Managers, all at once.
func (d *daemon) close(ctx context.Context) error {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Grace)
	defer cancel()
	faults := make([]error, len(d.guards))
	var all sync.WaitGroup
	for i, g := range d.guards {
		all.Go(func() { faults[i] = g.close(late) })
	}
	all.Wait()
	return errors.Join(faults...)
}

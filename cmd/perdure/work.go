package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/perdurelog"
	"github.com/perdure/perdure/pipeline"
)

// workshop is what the steps of pipelines are run with in this process.
type workshop struct {
	server  *server
	guarded *guarded
	env     pipeline.Env
	log     *slog.Logger
	panel   *shown
	metrics *metricsFile
	trail   *runTrail // nil: none is kept
	show    *display
	meter   *meter
	faults  func() chaos.Counts
	stop    <-chan struct{} // closed when nothing new is to be started
}

// work opens a workshop, calls do, and clears up: what do reports is then
// over, whatever happened to the database. The Manager is named after the pipeline, if there is one. When a signal
// came and do has an error, that is the error of an interrupted command.
func (a *app) work(ctx context.Context, pipelines []string, f workFlags, do func(ctx context.Context, w *workshop) error) (r workReport, err error) {
	w := &workshop{show: newDisplay(a.err), meter: newMeter()}
	if w.metrics, err = newMetricsFile(f.metrics, pipelines...); err != nil {
		return r, err
	}
	defer func() { err = w.metrics.write(err) }()
	ctx, stop, release := interrupts(ctx, w.show)
	defer release()
	w.stop = stop
	defer func() {
		if e, ok := errors.AsType[*exitError](err); err != nil && (!ok || e.code != exitInterrupted) {
			err = interruptedError(err, stop)
		}
	}()
	name := "pipelines"
	if len(pipelines) == 1 {
		name = pipelines[0]
	}
	m, err := newManager(name)
	if err != nil {
		return r, err
	}
	defer m.AddHooks(w.meter.hooks())()
	if w.trail, err = openRunTrail(ctx, f.audit, m); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.trail.end()) }()
	f.listen.stateDir = f.engine.stateDir
	if w.panel, err = a.show(ctx, f.listen, m); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.panel.end(ctx, 0, stop)) }()
	if w.server, err = f.server.open(ctx, false); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.server.Close()) }()
	a.sayWhatIsSpared(f.chaos.level, w.server)
	defer w.show.close()
	err = w.disturbed(ctx, m, f, do)
	r.take(w, f.chaos)
	return r, err
}

// disturbed is work on a server that is broken meanwhile, if it should.
func (w *workshop) disturbed(ctx context.Context, m *perdure.Manager, f workFlags, do func(ctx context.Context, w *workshop) error) (err error) {
	p := place{url: w.server.url}
	if w.server.cluster != nil {
		p.url = w.server.cluster.URL("postgres")
	}
	if f.chaos.level != chaos.Off {
		if err := p.migrate(ctx); err != nil { // before anything is broken
			return err
		}
	}
	d, err := f.chaos.disturb(ctx, p, w.server, [2]string{})
	if err != nil {
		return err
	}
	w.faults = d.counts
	defer func() { err = errors.Join(err, d.calm()) }()
	cfg, err := p.pool(d.addr)
	if err != nil {
		return err
	}
	w.log = slog.New(slog.NewTextHandler(w.show, &slog.HandlerOptions{Level: slog.LevelInfo}))
	defer m.AddHooks(perdurelog.Hooks(w.log, perdurelog.Config{}))()
	if w.guarded, err = newGuarded(ctx, m, cfg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.guarded.close(context.WithoutCancel(ctx))) }()
	if err := errors.Join(w.guarded.db.Migrate(ctx), w.metrics.guards(w.guarded), w.panel.guards(w.guarded)); err != nil {
		return err
	}
	url, err := d.urlFor(p)
	if err != nil {
		return err
	}
	loader, err := component.New(component.Config{Grace: methodGrace, Factories: factories(w.guarded.db, w.guarded.manager, url, w.log)})
	if err != nil {
		return err
	}
	if err := loader.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loader.Stop(context.WithoutCancel(ctx))) }()
	w.env = pipeline.Env{Invoker: loader, Artifacts: f.artifacts}
	if w.env.Artifacts == "" {
		if w.env.Artifacts, err = f.engine.statePath("artifacts"); err != nil {
			return err
		}
	}
	return do(ctx, w)
}

// migrate makes the table of markers, by a pool of its own.
func (p place) migrate(ctx context.Context) error {
	cfg, err := p.pool("")
	if err != nil {
		return err
	}
	m, err := newManager("prepare")
	if err != nil {
		return err
	}
	g, err := newGuarded(ctx, m, cfg)
	if err != nil {
		return err
	}
	return errors.Join(g.db.Migrate(ctx), g.close(ctx))
}

// observeRun is the one place where a run is watched: whoever shows runs joins
// here. observe is told its events, by one goroutine at a time; end is called once, when the run is over
// as far as this process is concerned.
func (w *workshop) observeRun(b runs.Begin) (observe func(pipeline.Event), end func(pipeline.Report, error)) {
	bar := w.show.show(b.Plan.Pipeline, len(b.Plan.Steps), func() string { return brief(w.faults()) })
	steps := bySteps(bar.observe)
	watched := w.panel.watch(b, w.trail.sink(), runs.Log(w.show.runLog(w.log)))
	return func(e pipeline.Event) { steps(e); watched.Observe(e) }, func(r pipeline.Report, err error) {
		bar.end(err == nil)
		w.metrics.took(r)
		watched.End(r, err)
	}
}

// attend lets an engine work on a run while it is watched.
func (w *workshop) attend(ctx context.Context, b runs.Begin, o pipeline.DurableOptions, do func(context.Context, pipeline.DurableOptions) (pipeline.Report, error)) (pipeline.Report, error) {
	observe, end := w.observeRun(b) //nolint:contextcheck // what it starts ends with end
	o.Observe, o.Stop = observe, w.stop
	r, err := do(perdure.WithCorrelationID(ctx, b.Plan.Run), o)
	end(r, err)
	return r, err
}

// bySteps lets a display that counts tasks count steps: how many items one has
// is not known before.
func bySteps(observe func(pipeline.Event)) func(pipeline.Event) {
	return func(e pipeline.Event) {
		if e.Kind == pipeline.EventProgress {
			return
		}
		e.Done, e.Total = 0, 0
		observe(e)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// job is one run of the flights pipeline.
type job struct {
	label  string // for people
	place  place
	server *server
	data   *flights.Data
	naive  bool
	engine string // engineInline or engineDBOS; the naive run is always inline
	input  string // the file that data is of; empty: embedded
	level  chaos.Level
	seed   uint64
	stop   <-chan struct{}
	// manager guards the work; it is used for one job. Nil if that is naive.
	manager *perdure.Manager
	shown   *shown
	file    *metricsFile
	trail   *runTrail // nil: none is kept
	show    func(label string, total int, note func() string) progress
}

// do does the work, breaks the server meanwhile if it should, and audits what
// is in the database when all is quiet again. The report is as complete as can
// be, also beside an error.
func (j job) do(ctx context.Context) (r runReport, err error) {
	r = runReport{How: "perdurepgx.Once with pipeline.Key", Server: j.server.version, Seed: j.seed, Rejected: len(j.data.Rejects)}
	if err := j.prepare(ctx); err != nil {
		return r, err
	}
	d, err := chaosFlags{j.level, j.seed}.disturb(ctx, j.place, j.server, flights.LocksAgainstTheOrder())
	if err != nil {
		return r, err
	}
	err = j.work(ctx, d.addr, d.counts, &r)
	auditErr := d.calm()
	r.Faults = d.counts()
	if auditErr == nil {
		auditErr = j.audit(context.WithoutCancel(ctx), &r)
	}
	if auditErr != nil {
		r.Verdict = notAudited
		if r.Error != "" {
			r.Error += "; "
		}
		r.Error += auditErr.Error()
		return r, errors.Join(err, auditErr)
	}
	r.judge()
	return r, err
}

// audit looks what is in the database.
func (j job) audit(ctx context.Context, r *runReport) error {
	conn, err := j.place.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it only read
	r.Result, err = flights.Audit(ctx, conn, j.data)
	return err
}

// prepare creates the tables, before anything is broken.
func (j job) prepare(ctx context.Context) error {
	conn, err := j.place.connect(ctx)
	if err != nil {
		return &exitError{code: exitUnreachable, err: err}
	}
	_, err = conn.Exec(ctx, flights.Schema())
	if err = errors.Join(err, conn.Close(ctx)); err != nil || j.naive {
		return err
	}
	return j.place.migrate(ctx)
}

// work runs the pipeline.
func (j job) work(ctx context.Context, addr string, faults func() chaos.Counts, r *runReport) error {
	cfg, err := j.place.pool(addr)
	if err != nil {
		return err
	}
	var (
		runner flights.Runner
		db     *perdurepgx.DB
		finish func(*runReport) error
	)
	r.Engine = engineInline
	if j.naive {
		n, err := newNaive(ctx, cfg)
		if err != nil {
			return err
		}
		r.How = howNaive
		runner, finish = n, func(r *runReport) error { n.copyTo(r); n.pool.Close(); return nil }
	} else {
		m := newMeter()
		j.manager.AddHooks(m.hooks())
		g, err := newGuarded(ctx, j.manager, cfg)
		if err != nil {
			return err
		}
		if err := errors.Join(j.file.guards(g), j.shown.guards(g)); err != nil {
			return errors.Join(err, g.close(ctx))
		}
		r.Outcome = g.db.Outcome().String()
		db = g.db
		runner, finish = flights.Guarded{DB: db}, func(r *runReport) error {
			err := g.close(context.WithoutCancel(ctx))
			m.copyTo(r)
			return err
		}
	}
	c := flights.Config{Data: j.data, Runner: runner}
	note := func() string { return brief(faults()) }
	tasks, run := c.Tasks(), func(observe func(pipeline.Event)) (pipeline.Report, error) { return j.inline(ctx, c, observe) }
	if j.engine == engineDBOS && db != nil {
		r.Engine = engineDBOS
		tasks, run = c.TasksOfYAML(), func(observe func(pipeline.Event)) (pipeline.Report, error) { return j.durable(ctx, db, observe) }
	}
	p := j.show(j.label, tasks, note)
	report, err := run(p.observe)
	p.end(err == nil)
	if !j.naive {
		j.file.took(report)
	}
	r.take(report, err)
	return errors.Join(err, finish(r))
}

// inline runs the pipeline that is in Go, in this process.
func (j job) inline(ctx context.Context, c flights.Config, observe func(pipeline.Event)) (pipeline.Report, error) {
	d := flights.Pipeline(c)
	plan, err := d.Freeze(j.place.run, c.Params())
	if err != nil {
		return pipeline.Report{}, err
	}
	watched := j.shown.watch(runs.Begin{Plan: plan, Engine: engineInline}, j.trail.sink())
	report, err := pipeline.Run(ctx, d, pipeline.Options{
		Run: plan.Run, Params: c.Params(), Observe: func(e pipeline.Event) { observe(e); watched.Observe(e) }, Stop: j.stop,
	})
	watched.End(report, err)
	return report, err
}

// guarded is a Manager and its database.
type guarded struct {
	manager *perdure.Manager
	db      *perdurepgx.DB
}

// newManager makes a Manager for batch work: a transaction waits minutes for the
// database instead of failing, and half of the repeats that a worker could
// possibly make are allowed, because nobody else uses this database.
func newManager(name string) (*perdure.Manager, error) {
	return perdure.New(perdure.Config{
		Name:   name,
		Policy: perdure.Policy{MaxAttempts: 30, Park: 5 * time.Minute},
		Budget: perdure.BudgetConfig{Floor: 100},
	})
}

// newGuarded opens the database that m guards.
func newGuarded(ctx context.Context, m *perdure.Manager, cfg *pgxpool.Config) (*guarded, error) {
	db, err := perdurepgx.Open(ctx, cfg, m, perdurepgx.Config{})
	if err != nil {
		return nil, errors.Join(&exitError{code: exitUnreachable, err: err}, m.Close(ctx))
	}
	return &guarded{manager: m, db: db}, nil
}

func (g *guarded) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := g.manager.Close(ctx) // first: open outcomes need the pool
	g.db.Close()
	return err
}

func metricsOf(output json.RawMessage) *flights.Metrics {
	var e struct {
		Metrics *flights.Metrics `json:"metrics"`
	}
	if err := json.Unmarshal(output, &e); err != nil {
		return nil
	}
	return e.Metrics
}

// interruptedError turns the end of an interrupted run into its exit code.
func interruptedError(err error, stop <-chan struct{}) error {
	if !interrupted(stop) {
		return err
	}
	if err == nil {
		err = errInterrupted
	}
	return &exitError{code: exitInterrupted, err: err}
}

// orInterrupted is err, or why there is none.
func orInterrupted(err error) error {
	if err == nil {
		return errInterrupted
	}
	return err
}

func interrupted(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

package perduredbos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/perdure/perdure/pipeline"
)

// worker is this process at work on a try: an executor of DBOS of its own, so that it can
// leave the try as it is by shutting down.
type worker struct {
	e        *Engine
	row      row
	in       input // of a new try
	again    bool  // the try was begun before
	o        pipeline.DurableOptions
	executor string
	own      owner
	d        dbos.Context

	ctx    context.Context //nolint:containedctx // of the run, which is shorter than the worker's own calls
	cancel context.CancelCauseFunc
	began  chan struct{}
	ended  chan result
	ending atomic.Bool
}

type result struct {
	report pipeline.Report
	err    error
	final  bool // nothing is left to do
}

// work works on the try until it ends or is to stop. release is called when the try is
// this process's, or cannot be.
func (e *Engine) work(ctx context.Context, w *worker, release func()) (pipeline.Report, error) {
	released := false
	free := func() {
		if !released {
			released = true
			release()
		}
	}
	defer free()

	w.e, w.executor = e, newExecutor()
	w.began, w.ended = make(chan struct{}), make(chan result, 1)
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	defer w.cancel(nil)
	own, err := e.state.own(ctx, w.executor)
	if err != nil {
		return pipeline.Report{}, err
	}
	defer own.release()
	w.own = own
	if err := w.open(ctx); err != nil {
		return pipeline.Report{}, err
	}
	defer w.close()

	if err := w.begin(); err != nil { //nolint:contextcheck // the run has a context of its own: w.ctx
		return pipeline.Report{}, err
	}
	if err := w.wait(ctx); err != nil {
		return pipeline.Report{}, err
	}
	free()
	e.log.InfoContext(ctx, "run at work", slog.String("run", w.row.run), slog.Int("try", w.row.try), slog.Bool("again", w.again))

	watched := make(chan struct{})
	go func() { defer close(watched); w.watch() }()
	r := <-w.ended
	if r.final {
		if err := w.recorded(ctx); err != nil {
			r.err = err
		}
	}
	w.cancel(nil)
	<-watched
	return r.report, r.err
}

// open makes the executor.
func (w *worker) open(ctx context.Context) error {
	w.ending.Store(true) // what fails before it is launched is returned
	db, err := w.e.state.database(ctx, toWork)
	if err != nil {
		return err
	}
	// The calls of DBOS outlive a canceled run: what ended before is stored.
	d, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName: appName, DatabaseURL: db.url, SQLiteSystemDB: db.sqlite, DatabaseSchema: db.schema,
		Logger: slog.New(demoted{w.e.log.Handler(), &w.ending}), ApplicationVersion: appVersion, ExecutorID: w.executor, SystemDBStartupTimeout: startupTime,
	})
	if err != nil {
		db.close()
		return w.e.state.fault(err)
	}
	w.d = d
	if d.GetExecutorID() != w.executor || d.GetApplicationVersion() != appVersion {
		w.close()
		return &environmentError{}
	}
	d.ListenQueues(d, w.queue()) // its own alone
	return nil
}

// environmentError says that variables meant for DBOS applications are set.
type environmentError struct{}

func (*environmentError) Error() string {
	return "DBOS__VMID or DBOS__APPVERSION is set in the environment: it would give every process the same executor, and they would run each other's runs"
}

// Hint says what to do.
func (*environmentError) Hint() string { return "unset DBOS__VMID DBOS__APPVERSION" }

func (w *worker) close() {
	w.ending.Store(true)
	if err := dbos.Shutdown(w.d, shutdownTime); err != nil {
		w.e.log.Warn("state not closed in time", slog.Any("error", err))
	}
}

// queue is what a try that was begun before is handed to this executor by.
func (w *worker) queue() string { return "perdure/" + w.executor }

// begin makes the try this process's.
func (w *worker) begin() error {
	id := w.row.id()
	flow := func(d dbos.Context, in input) (pipeline.Report, error) { return w.flow(d, in) }
	dbos.RegisterWorkflow(w.d, flow, dbos.WithWorkflowName(workflowName))
	if !w.again {
		if err := dbos.Launch(w.d); err != nil {
			return w.e.state.fault(err)
		}
		_, err := dbos.RunWorkflow(w.d, flow, w.in, dbos.WithWorkflowID(id), dbos.WithWorkflowIDReusePolicy(dbos.WorkflowIDReusePolicyReject),
			dbos.WithWorkflowAttributes(map[string]any{attrPipeline: w.row.pipeline, attrBegan: w.row.began.Format(time.RFC3339Nano)}))
		if errors.Is(err, dbos.ErrWorkflowIDInUse) {
			return running(w.row.run, "")
		}
		return w.e.state.fault(err)
	}
	// The queue is there and the try is on it before the executor first looks.
	if _, err := dbos.RegisterQueue(w.d, w.queue(), dbos.WithQueueOnConflict(dbos.QueueConflictAlwaysUpdate)); err != nil {
		return w.e.state.fault(err)
	}
	if _, err := dbos.ResumeWorkflow[pipeline.Report](w.d, id, dbos.WithResumeQueue(w.queue())); err != nil {
		return w.e.state.fault(err)
	}
	return w.e.state.fault(dbos.Launch(w.d))
}

// wait waits until the workflow runs in this process.
func (w *worker) wait(ctx context.Context) error {
	if w.again {
		defer func() {
			if err := dbos.DeleteQueue(w.d, w.queue()); err != nil {
				w.e.log.WarnContext(ctx, "queue not removed", slog.String("run", w.row.run), slog.Any("error", err))
			}
		}()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-w.began:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("run %s: %w", w.row.run, context.Cause(ctx))
		case <-tick.C:
			if err := w.mine(false); err != nil {
				return err
			}
		}
	}
}

// mine returns why the try is not this process's, if it is not. A try that was
// handed over and not begun yet bears the name of its old executor.
func (w *worker) mine(begun bool) error {
	r, err := w.e.read(w.d, w.row.id(), false)
	switch {
	case err != nil:
		return err
	case r == nil:
		return fmt.Errorf("run %s: its record is gone from %s: %w", w.row.run, appName, pipeline.ErrNoRun)
	case r.status == dbos.WorkflowStatusCancelled:
		return fmt.Errorf("run %s: %w", w.row.run, ErrCanceled)
	case r.executor == w.executor:
		return nil
	case !begun && r.status == dbos.WorkflowStatusEnqueued:
		return nil
	}
	return fmt.Errorf("run %s: %w, %s", w.row.run, ErrTakenOver, ownerOf(r.executor))
}

// flow is the workflow. It must do the same whenever it is called with the same records.
func (w *worker) flow(d dbos.Context, in input) (pipeline.Report, error) {
	if id, err := dbos.GetWorkflowID(d); err != nil || id != w.row.id() {
		<-d.Done() // somebody handed us another run by DBOS' own means: it is left as it is
		return pipeline.Report{}, context.Cause(d)
	}
	close(w.began)
	w.ending.Store(false)
	e := &checkpointed{d: d, ctx: w.ctx, cancel: w.cancel, stop: w.o.Stop, inbox: newInbox()}
	if err := e.begin(); err != nil {
		e.broken = err
		w.cancel(err)
	}
	report, err := pipeline.RunPlan(w.ctx, in.Plan, pipeline.Options{
		Observe: w.o.Observe, Stop: w.o.Stop, Earlier: in.Earlier, Env: w.e.cfg.Env, Engine: e,
	})
	e.inbox.close()
	r := result{report: report, err: err, final: e.broken == nil && complete(report)}
	if !r.final {
		r.report.Status = pipeline.StatusInterrupted
		r.err = w.why(e.broken, err)
		if errors.Is(r.err, ErrCanceled) {
			r.report.Status = pipeline.StatusCanceled
		}
		w.ended <- r
		<-d.Done() // leaves the try as it is, to be gone on with
		return pipeline.Report{}, context.Cause(d)
	}
	w.ended <- r
	if err != nil {
		return slim(report), &dbos.Error{Message: err.Error(), Code: dbos.ErrorCodeWorkflowExecution}
	}
	return slim(report), nil
}

// complete reports whether nothing is left to do of a run.
func complete(r pipeline.Report) bool {
	if len(r.Steps) == 0 {
		return false // the plan was not valid
	}
	for _, s := range r.Steps {
		if s.Status == pipeline.StatusCanceled {
			return false
		}
	}
	return true
}

// why says why the run did not come to its end.
func (w *worker) why(broken, err error) error {
	if broken == nil {
		if cause := context.Cause(w.ctx); cause != nil && !errors.Is(err, cause) {
			return fmt.Errorf("run %s: %w (before that: %w)", w.row.run, cause, err)
		}
		return err
	}
	if lost(broken) {
		if mine := w.mine(true); mine != nil {
			return mine
		}
	}
	return w.e.state.fault(fmt.Errorf("run %s: what ended could not be stored: %w", w.row.run, broken))
}

// watch ends the run when it was canceled or taken over elsewhere.
func (w *worker) watch() {
	tick := time.NewTicker(w.e.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-tick.C:
		}
		err := w.mine(true)
		if errors.Is(err, ErrCanceled) || errors.Is(err, ErrTakenOver) || errors.Is(err, pipeline.ErrNoRun) {
			w.e.log.Warn("run ends here", slog.String("run", w.row.run), slog.Any("error", err))
			w.cancel(err)
			return
		}
		if err == nil {
			err = w.own.check(w.ctx)
		}
		if err != nil && w.ctx.Err() == nil {
			w.e.log.Warn("ownership of the run could not be checked", slog.String("run", w.row.run), slog.Any("error", err))
		}
	}
}

// recorded waits until DBOS has stored that the try is over.
func (w *worker) recorded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startupTime)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		r, err := w.e.read(w.d, w.row.id(), false)
		if err == nil && r != nil && r.over() {
			return w.mine(true) // what another owner stored is the same, but it is not this process's
		}
		if err == nil {
			if err = w.mine(true); err != nil {
				return err
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return w.e.state.fault(fmt.Errorf("run %s: that it is over could not be stored: resume it", w.row.run))
		}
	}
}

// slim is what DBOS keeps of the report for people who look into its tables:
// outputs are in the records.
func slim(r pipeline.Report) pipeline.Report {
	steps := make([]pipeline.StepReport, len(r.Steps))
	for i, s := range r.Steps {
		s.Output = json.RawMessage(nil)
		steps[i] = s
	}
	r.Steps = steps
	return r
}

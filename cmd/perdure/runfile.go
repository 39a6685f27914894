package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perdurelog"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// methodGrace is how long a method may take to end once its context has: a
// process is asked to end first, and killed later.
const methodGrace = 15 * time.Second

// fileRun is what "run FILE" is told beside the file.
type fileRun struct {
	engine    string
	params    []string
	artifacts string
	force     bool
}

func (r *fileRun) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.engine, "engine", "inline", "of a file: inline runs in this process, and remembers what the database remembers")
	cmd.Flags().StringArrayVarP(&r.params, "param", "p", nil, "of a file: NAME=VALUE, once for each")
	cmd.Flags().BoolVar(&r.force, "force", false, "of a file: go on with a run that was begun with another plan")
	cmd.Flags().StringVar(&r.artifacts, "artifacts", "", "of a file: directory for what steps write (default: artifacts in perdure's state directory)")
}

func isPipelineFile(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// values reads the parameters by their types.
func (r *fileRun) values(d pipeline.Definition) (map[string]json.RawMessage, error) {
	given := make(map[string]json.RawMessage, len(r.params))
	types := make(map[string]pipeline.ParamType, len(d.Params))
	for _, p := range d.Params {
		types[p.Name] = p.Type
	}
	for _, text := range r.params {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usageError("--param %q: want NAME=VALUE", text)
		}
		if _, twice := given[name]; twice {
			return nil, usageError("--param %s: given twice", name)
		}
		raw, err := types[name].ParseParam(value)
		if err != nil {
			return nil, usageError("--param %s: %w", name, err)
		}
		given[name] = raw
	}
	values, err := d.Values(given)
	if err != nil {
		return nil, &exitError{code: exitUsage, hint: "--param NAME=VALUE", err: err}
	}
	return values, nil
}

// runFile runs a pipeline from a file to its end.
func (a *app) runFile(cmd *cobra.Command, file string, f serverFlags, l listenFlags, r fileRun, prom string) (err error) {
	for _, flag := range []string{"chaos", "seed", "naive", "flights"} {
		if cmd.Flags().Changed(flag) {
			return usageError("--%s is for the pipeline flights", flag)
		}
	}
	if r.engine != "inline" {
		return usageError("--engine %q: want inline", r.engine)
	}
	d, err := readPipeline(file)
	if err != nil {
		return invalidFile(err)
	}
	values, err := r.values(d)
	if err != nil {
		return err
	}
	run, err := d.RunID(values)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	metrics, err := newMetricsFile(prom, d.Name)
	if err != nil {
		return err
	}
	defer func() { err = metrics.write(err) }()
	show := newDisplay(a.err)
	ctx, stop, release := interrupts(cmd.Context(), show)
	defer release()
	m, err := newManager(d.Name)
	if err != nil {
		return err
	}
	panel, err := a.show(ctx, l, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, panel.end(ctx, 0, stop)) }()
	srv, err := f.open(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	a.say("%s, pipeline %s, run %s", srv.version, d.Name, run)
	defer show.close()
	report, err := a.runSteps(ctx, d, run, values, fileRunner{m, srv, panel, r, metrics, show, stop})
	show.close()
	if report.Run == "" { // nothing was begun
		return interruptedError(err, stop)
	}
	err = interruptedError(errors.Join(err, a.printPipeline(report)), stop)
	if e, ok := errors.AsType[*exitError](err); ok && e.code == exitInterrupted && d.Key != "" && srv.cluster == nil {
		e.hint = "the same command again: what was done stays done"
	}
	return err
}

// fileRunner is what a run works with.
type fileRunner struct {
	manager *perdure.Manager
	srv     *server
	panel   *shown
	flags   fileRun
	metrics *metricsFile
	show    *display
	stop    <-chan struct{}
}

func (a *app) runSteps(ctx context.Context, d pipeline.Definition, run string, values map[string]json.RawMessage, r fileRunner) (_ pipeline.Report, err error) {
	p := place{url: r.srv.url}
	if r.srv.cluster != nil {
		p.url = r.srv.cluster.URL("postgres")
	}
	cfg, err := p.pool("")
	if err != nil {
		return pipeline.Report{}, err
	}
	log := slog.New(slog.NewTextHandler(r.show, &slog.HandlerOptions{Level: slog.LevelInfo}))
	defer r.manager.AddHooks(perdurelog.Hooks(log, perdurelog.Config{}))()
	g, err := newGuarded(ctx, r.manager, cfg)
	if err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, g.close(context.WithoutCancel(ctx))) }()
	if err := errors.Join(g.db.Migrate(ctx), r.metrics.guards(g), r.panel.guards(g)); err != nil {
		return pipeline.Report{}, err
	}
	if err := holdPlan(ctx, d, run, values, g, r.flags.force); err != nil {
		return pipeline.Report{}, err
	}
	loader, err := component.New(component.Config{
		Grace:     methodGrace,
		Factories: append(builtin.Factories(builtin.Config{DB: g.db, DatabaseURL: databaseURL(p.url), Log: log}), component.Retry(g.manager)),
	})
	if err != nil {
		return pipeline.Report{}, err
	}
	if err := loader.Start(ctx); err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, loader.Stop(context.WithoutCancel(ctx))) }()
	if r.flags.artifacts == "" {
		state, err := stateDir()
		if err != nil {
			return pipeline.Report{}, err
		}
		r.flags.artifacts = filepath.Join(state, "artifacts")
	}
	progress := r.show.show(d.Name, len(d.Steps), func() string { return "" }) //nolint:contextcheck // it ends with progress.end
	report, err := pipeline.Run(perdure.WithCorrelationID(ctx, run), d, pipeline.Options{
		Run: run, Params: values, Observe: bySteps(progress.observe), Stop: r.stop,
		Env: pipeline.Env{Invoker: loader, Artifacts: r.flags.artifacts},
	})
	progress.end(err == nil)
	r.metrics.took(report)
	return report, err
}

// holdPlan refuses to go on with a run whose file has changed. Without a key the
// run is new.
func holdPlan(ctx context.Context, d pipeline.Definition, run string, values map[string]json.RawMessage, g *guarded, force bool) error {
	if d.Key == "" || force {
		return nil
	}
	plan, err := d.Freeze(run, values)
	if err != nil {
		return err
	}
	err = builtin.HoldPlan(ctx, g.db, plan)
	if errors.Is(err, pipeline.ErrPlanChanged) {
		return &exitError{code: exitInvalid, err: err, hint: "another key for another run, or --force: what was done under the old plan stays as it is"}
	}
	return err
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

// databaseURL is what processes are given to connect with.
func databaseURL(url string) redact.Secret {
	if url == "" { // PG* say it, and the environment may not
		return redact.Secret{}
	}
	return redact.NewSecret(url)
}

// stateDir is perdure's directory for what outlives a run.
func stateDir() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", usageError("the state directory: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "perdure"), nil
}

// pipelineReport is the JSON of run FILE.
type pipelineReport struct {
	Pipeline string             `json:"pipeline"`
	Run      string             `json:"run"`
	Status   pipeline.Status    `json:"status"`
	Started  time.Time          `json:"started"`
	Seconds  float64            `json:"seconds"`
	Steps    []pipelineStepJSON `json:"steps"`
}

type pipelineStepJSON struct {
	stepReport

	Output json.RawMessage `json:"output,omitempty"`
}

func (a *app) printPipeline(r pipeline.Report) error {
	out := pipelineReport{Pipeline: r.Pipeline, Run: r.Run, Status: r.Status, Started: r.Started, Seconds: seconds(r.Duration)}
	var rows runReport
	rows.take(r, nil)
	for i, s := range rows.Steps {
		out.Steps = append(out.Steps, pipelineStepJSON{s, r.Steps[i].Output})
	}
	if a.output == "json" {
		return writeJSON(a.out, out)
	}
	color := green
	if r.Status != pipeline.StatusSucceeded {
		color = red
	}
	if _, err := fmt.Fprintf(a.out, "%s  pipeline %s, run %s, %.1f s\n\n", a.color(strings.ToUpper(string(r.Status)), color), r.Pipeline, r.Run, out.Seconds); err != nil {
		return err
	}
	g := grid{rows: [][]string{{"STEP", "STATUS", "SECONDS", "RUNS", "ITEMS", "OUTPUT OR ERROR"}}}
	for _, s := range out.Steps {
		last, items := brief80(string(s.Output)), ""
		if s.Error != "" {
			last = s.Error
		}
		if s.Items > 0 {
			items = thousands(int64(s.Items))
		}
		g.rows = append(g.rows, []string{s.Name, string(s.Status), fmt.Sprintf("%.1f", s.Seconds), thousands(int64(s.Attempts)), items, printable(last)})
	}
	return g.write(a.out)
}

// brief80 is the beginning of a text, as a table has room for it.
func brief80(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

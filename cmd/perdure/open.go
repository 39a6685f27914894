package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// openEngine opens the engine that runs pipelines in this process. On a private
// server, which is removed at the end, nothing could be gone on with: the
// engine is then inline, and if dbos was asked for, what it knows is removed too.
func (a *app) openEngine(ctx context.Context, f engineFlags, w *workshop) (*engine, error) {
	private := w.server.cluster != nil
	switch {
	case f.name == engineInline, f.name == "" && private:
		return &engine{Durable: inlineRuns{w.env}, name: engineInline, flags: f, mortal: true}, nil
	case private && f.url == "" && f.stateDir == "":
		dir, err := os.MkdirTemp("", "perdure-runs-")
		if err != nil {
			return nil, err
		}
		e, err := openDBOS(ctx, f, perduredbos.Config{Dir: filepath.Join(dir, "runs"), Env: w.env, Log: engineLog(w.log)})
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		end := e.close
		e.mortal, e.close = true, func(ctx context.Context) error { return errors.Join(end(ctx), os.RemoveAll(dir)) }
		return e, nil
	}
	cfg, err := f.dbos()
	if err != nil {
		return nil, err
	}
	cfg.Env, cfg.Log = w.env, engineLog(w.log)
	return openDBOS(ctx, f, cfg)
}

// openRuns opens the engine of a command that shows runs and does none of their
// work.
func (a *app) openRuns(ctx context.Context, f engineFlags) (*engine, error) {
	if err := f.check(false); err != nil {
		return nil, err
	}
	switch f.name {
	case engineInline:
		return nil, usageError("--engine inline remembers no runs: want dbos or temporal")
	case engineTemporal:
		return openTemporal(ctx, f, slog.New(slog.NewTextHandler(a.err, nil)))
	}
	cfg, err := f.dbos()
	if err != nil {
		return nil, err
	}
	cfg.Log = a.quietLog()
	return openDBOS(ctx, f, cfg)
}

// dbos says where the engine keeps its runs.
func (f *engineFlags) dbos() (perduredbos.Config, error) {
	if f.url != "" {
		return perduredbos.Config{DatabaseURL: f.url}, nil
	}
	dir, err := f.statePath(runsName)
	return perduredbos.Config{Dir: dir}, err
}

// runsName is the directory of the engine dbos in the state directory.
const runsName = "runs"

func openDBOS(ctx context.Context, f engineFlags, cfg perduredbos.Config) (*engine, error) {
	e, err := perduredbos.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &engine{Durable: e, name: engineDBOS, flags: f, close: func(context.Context) error { return e.Close() }}, nil
}

var _ pipeline.Durable = (*perduredbos.Engine)(nil)

// statePath is a path in the state directory.
func (f *engineFlags) statePath(name string) (string, error) {
	e, err := pathsIn(f.stateDir)
	if err != nil {
		return "", &exitError{code: exitUsage, err: err}
	}
	return filepath.Join(e.StateDir, name), nil
}

// quietLog is for commands that say what went wrong by themselves.
func (a *app) quietLog() *slog.Logger {
	return engineLog(slog.New(slog.NewTextHandler(a.err, nil)))
}

// engineLog is a log of what a person should know of an engine that knows the
// URL of a database.
func engineLog(log *slog.Logger) *slog.Logger {
	return slog.New(redact.Handler(warnings(log).Handler()))
}

// warnings is a log of what a person should know.
func warnings(log *slog.Logger) *slog.Logger {
	return slog.New(atLeast{log.Handler(), slog.LevelWarn})
}

// atLeast drops records below a level.
type atLeast struct {
	slog.Handler

	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

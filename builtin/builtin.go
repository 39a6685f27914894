// Package builtin has the components that a pipeline can use without any Go:
//
//   - sql: exec, query, script and copy. What they write happens exactly once,
//     however often and in whatever process the step runs: each effect goes through
//     perdurepgx.Once with pipeline.Key. Values are bound as parameters, never pasted into SQL.
//   - process: run. A command in any language, JSON in and out.
//   - http: call.
//
// A process and a call happen at least once: nobody can know what a command did before
// its machine died. They repeat only if their input says idempotent: true.
package builtin

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// The names of the components.
const (
	sqlName     = "sql"
	processName = "process"
	httpName    = "http"
)

// Config is what the components work with.
type Config struct {
	// DB is the database of sql; it must have been migrated. Nil: sql cannot be
	// started.
	DB *perdurepgx.DB
	// Manager repeats processes and calls. Nil means that of DB.
	Manager *perdure.Manager
	// DatabaseURL is given to processes, as DATABASE_URL. Empty means that they get none.
	DatabaseURL redact.Secret
	// Log is told what processes write to stderr, redacted. Nil means nobody is.
	Log *slog.Logger
	// Client makes the calls of http. Nil means one of its own, which follows no redirect to
	// another host.
	Client *http.Client
}

func (c Config) manager() (*perdure.Manager, error) {
	switch {
	case c.Manager != nil:
		return c.Manager, nil
	case c.DB != nil:
		return c.DB.Manager(), nil
	}
	return nil, errors.New("neither a Manager nor a database was given")
}

// Factories returns the components, for a [component.Loader].
func Factories(c Config) []component.Factory {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return []component.Factory{sqlFactory(c), processFactory(c), httpFactory(c)}
}

// Literal names the fields of the methods' inputs that are taken as they are
// written: no reference may stand in them.
func Literal() map[string][]string {
	return map[string][]string{
		"sql.exec": {fieldSQL}, "sql.query": {fieldSQL}, "sql.script": {fieldSQL},
	}
}

const fieldSQL = "sql"

// Methods returns what the components can do, for [pipeline.Parse].
func Methods() []pipeline.Method {
	l, err := component.New(component.Config{Factories: Factories(Config{})})
	if err != nil {
		return nil // a test shows that it does not happen
	}
	return pipeline.MethodsOf(l, Literal())
}

package main

import (
	"log/slog"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// methodGrace is how long a method may take to end once its context has: a
// process is asked to end first, and killed later.
const methodGrace = 15 * time.Second

// factories are the components that the command brings along. Without a database
// they can only be described.
func factories(db *perdurepgx.DB, m *perdure.Manager, url redact.Secret, log *slog.Logger) []component.Factory {
	return append(builtin.Factories(builtin.Config{DB: db, DatabaseURL: url, Log: log}), component.Retry(m), flights.Factory(db))
}

// methods are what these components can do, for files that are only read.
func methods() []pipeline.Method {
	l, err := component.New(component.Config{Factories: factories(nil, nil, redact.Secret{}, nil)})
	if err != nil {
		return nil // a test shows that it does not happen
	}
	return pipeline.MethodsOf(l, builtin.Literal())
}

package main

import (
	"log/slog"
	"time"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// methodGrace is how long a method may take to end once its context has: a
// process is asked to end first, and killed later.
const methodGrace = 15 * time.Second

// factories are the components that the command brings along.
func factories(g *guarded, url redact.Secret, log *slog.Logger) []component.Factory {
	return append(builtin.Factories(builtin.Config{DB: g.db, DatabaseURL: url, Log: log}), component.Retry(g.manager))
}

// methods are what these components can do, for files that are only read.
func methods() []pipeline.Method { return builtin.Methods() }

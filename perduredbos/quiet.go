package perduredbos

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// demoted is a handler for what DBOS logs: what it thinks worth telling of a start is detail here,
// and so is everything that its loops say when they are ended.
type demoted struct {
	slog.Handler

	ending *atomic.Bool // nil: never
}

func (d demoted) Enabled(ctx context.Context, l slog.Level) bool {
	return d.Handler.Enabled(ctx, d.lower(l))
}

func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = d.lower(r.Level)
	return d.Handler.Handle(ctx, r)
}

func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs), d.ending}
}

func (d demoted) WithGroup(name string) slog.Handler {
	return demoted{d.Handler.WithGroup(name), d.ending}
}

func (d demoted) lower(l slog.Level) slog.Level {
	if l < slog.LevelWarn || d.ending != nil && d.ending.Load() {
		return slog.LevelDebug
	}
	return l
}

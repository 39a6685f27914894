package runs

import (
	"context"
	"log/slog"

	"github.com/perdure/perdure/pipeline"
)

// Log writes a line for a run that begins and ends, and for a step that ends or
// waits; DEBUG for one that begins. The correlation ID is the run's name, as on the lines
// of the calls within. A nil logger writes nothing.
func Log(l *slog.Logger) Sink {
	if l == nil {
		return nil
	}
	return func(n Note) {
		level, text := words(n)
		ctx := context.Background() // a line belongs to the run, whoever has gone
		if !l.Enabled(ctx, level) {
			return
		}
		attrs := []slog.Attr{slog.String("pipeline", n.Pipeline), slog.String("correlation_id", n.Run)}
		add := func(key, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(key, value))
			}
		}
		add("step", n.Step)
		if n.Kind == Begun || n.Kind == Ended {
			add("engine", n.Engine)
			attrs = append(attrs, slog.Int("try", n.Try), slog.Int("steps", n.Steps))
		}
		if n.Kind == StepEnded || n.Kind == Ended {
			add("status", string(n.Status))
			attrs = append(attrs, slog.Duration("took", n.Took))
		}
		if n.Kind == StepEnded || n.Kind == StepWaits {
			attrs = append(attrs, slog.Int("attempts", n.Attempts))
		}
		if n.Kind == StepWaits {
			attrs = append(attrs, slog.Time("until", n.Until))
		}
		if f := n.Failure; f != nil && n.Status != pipeline.StatusSucceeded {
			if n.Step == "" {
				add("step", f.Step)
			}
			add("reason", f.Reason)
			add("sqlstate", f.SQLState)
			add("error", f.Text)
			add("hint", f.Hint)
		}
		l.LogAttrs(ctx, level, text, attrs...) //nolint:sloglint // each text is a literal in words
	}
}

// words returns how to write of it.
func words(n Note) (slog.Level, string) {
	switch n.Kind {
	case Begun:
		return slog.LevelInfo, [...]string{"run begins", "run is resumed", "run is taken over"}[n.How]
	case StepStarted:
		return slog.LevelDebug, "step begins"
	case StepWaits:
		return slog.LevelWarn, "step waits for another try"
	case StepEnded:
		switch n.Status { //nolint:exhaustive // the rest is as it should be
		case pipeline.StatusFailed:
			return slog.LevelError, "step failed"
		case pipeline.StatusSucceeded:
			return slog.LevelInfo, "step succeeded"
		}
		return slog.LevelInfo, "step was not run"
	case Ended:
	}
	switch {
	case n.Remembered:
		return slog.LevelInfo, "run had succeeded before: nothing was run"
	case n.Status == pipeline.StatusFailed:
		return slog.LevelError, "run failed"
	case n.Status == pipeline.StatusSucceeded:
		return slog.LevelInfo, "run succeeded"
	case n.Status == pipeline.StatusInterrupted:
		return slog.LevelWarn, "run was interrupted, and can be resumed"
	}
	return slog.LevelWarn, "run was canceled"
}

package perdurelog

import (
	"context"
	"log/slog"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

const (
	defaultBurst = 10
	defaultEvery = time.Second
)

// Config configures [Hooks]. Its zero value is the documented default.
type Config struct {
	// Manager is the attribute "manager" of every line: the Manager's Config.Name. Empty means none.
	Manager string
	// Trace returns the IDs of the trace and span that a context belongs to, for the attributes
	// "trace_id" and "span_id"; perdureotel.IDs does. Nil means none.
	Trace func(ctx context.Context) (traceID, spanID string)
	// Burst is how many lines of one kind may pass at once. Zero means 10; negative means no limit.
	Burst int
	// Every is the time for which one more line may pass. Zero means 1s.
	Every time.Duration
}

// Hooks returns hooks that write to logger; see the package for what and when.
// A nil logger writes nothing. They are safe for concurrent use, and one call
// serves one Manager.
func Hooks(logger *slog.Logger, cfg Config) perdure.Hooks {
	if logger == nil {
		return perdure.Hooks{}
	}
	if cfg.Manager != "" {
		logger = logger.With(slog.String("manager", cfg.Manager))
	}
	if cfg.Burst == 0 {
		cfg.Burst = defaultBurst
	}
	if cfg.Every <= 0 {
		cfg.Every = defaultEvery
	}
	w := &writer{logger: logger, trace: cfg.Trace, limit: newLimiter(cfg.Burst, cfg.Every)}
	return perdure.Hooks{
		Repeat: func(ctx context.Context, e perdure.RepeatEvent) context.Context {
			w.repeat(ctx, e)
			return ctx
		},
		AttemptEnd:    w.attempt,
		CallEnd:       w.call,
		BreakerChange: w.breaker,
		BudgetSpent:   w.budget,
		CommitOutcome: w.commit,
		Parked: func(ctx context.Context, e perdure.ParkEvent) {
			w.parked(ctx, "call parked", e)
		},
		Released: func(ctx context.Context, e perdure.ParkEvent) {
			w.parked(ctx, "call released", e, slog.Duration("parked", e.Waited))
		},
	}
}

func (w *writer) repeat(ctx context.Context, e perdure.RepeatEvent) {
	w.write(ctx, line{
		level: slog.LevelDebug, text: "attempt repeated", operation: e.Op, id: e.CorrelationID, class: e.Verdict.Category.String(),
	}, slog.Int("attempt", e.Attempt), slog.Duration("delay", e.Waited))
}

// attempt writes of one that failed. An error that no repeat can help is the
// caller's own affair, unless it is grave.
func (w *writer) attempt(ctx context.Context, e perdure.AttemptEvent) {
	if e.Err == nil {
		return
	}
	level := slog.LevelWarn
	switch {
	case e.Verdict.Retry == pgerr.RetryNever && e.Verdict.Severity < pgerr.SeverityHigh:
		level = slog.LevelDebug
	case e.Verdict.Severity == pgerr.SeverityLow:
		level = slog.LevelInfo
	}
	w.write(ctx, line{
		level: level, text: "attempt failed", operation: e.Op, id: e.CorrelationID, class: e.Verdict.Category.String(),
		err: e.Err, verdict: e.Verdict,
	}, slog.Int("attempt", e.Attempt), slog.Duration("took", e.Duration))
}

func (w *writer) call(ctx context.Context, e perdure.CallEvent) {
	l := line{operation: e.Op, id: e.CorrelationID, class: e.Reason.String(), err: e.Err, verdict: e.Verdict, reason: e.Reason}
	switch {
	case e.Err != nil:
		l.level, l.text = ending(e.Reason)
	case e.Attempts > 1:
		l.level, l.text = slog.LevelInfo, "call recovered"
	default:
		return
	}
	w.write(ctx, l, slog.Int("attempts", e.Attempts), slog.Duration("elapsed", e.Elapsed), slog.Duration("parked", e.Parked))
}

// ending returns how to write of a call that failed for that reason.
func ending(r perdure.Reason) (slog.Level, string) {
	switch r { //nolint:exhaustive // the rest gave up
	case 0: // the error came back untouched
		return slog.LevelDebug, "call failed"
	case perdure.ReasonCanceled:
		return slog.LevelInfo, "call canceled"
	case perdure.ReasonBreakerOpen:
		return slog.LevelWarn, "call refused"
	}
	return slog.LevelError, "call gave up"
}

func (w *writer) breaker(e perdure.BreakerEvent) {
	c := e.Change
	l := line{level: slog.LevelInfo, text: "circuit breaker changed", operation: e.Operation, always: true}
	attrs := []slog.Attr{
		slog.String("from", c.From.String()), slog.String("to", c.To.String()), slog.String("why", c.Reason),
	}
	if e.Opened() {
		l.level, l.text = slog.LevelWarn, "circuit breaker opened"
	}
	if c.Held != breaker.NotHeld {
		attrs = append(attrs, slog.String("held", c.Held.String()))
	}
	if !c.NextProbe.IsZero() {
		attrs = append(attrs, slog.Time("next_probe", c.NextProbe))
	}
	w.write(context.Background(), l, attrs...) //nolint:forbidigo // a breaker belongs to no call
}

func (w *writer) budget(ctx context.Context, e perdure.BudgetEvent) {
	w.write(ctx, line{level: slog.LevelWarn, text: "retry budget spent", operation: e.Op, id: e.CorrelationID},
		slog.Int("attempt", e.Attempt), slog.Bool("waits", e.Waits))
}

func (w *writer) commit(ctx context.Context, e perdure.OutcomeEvent) {
	l := line{level: slog.LevelInfo, text: "commit resolved", operation: e.Op, id: e.CorrelationID, class: string(e.Resolution)}
	attrs := []slog.Attr{
		slog.String("resolution", string(e.Resolution)), slog.String("method", e.Method), slog.Duration("took", e.Took),
	}
	switch e.Resolution {
	case perdure.Undecided:
		l.level, l.text, l.always = slog.LevelError, "commit outcome unknown", true
	case perdure.Run, perdure.Remembered:
		l.level, l.text = slog.LevelDebug, "once"
	case perdure.Committed, perdure.Aborted:
	}
	if e.Key != "" {
		attrs = append(attrs, slog.String("key", e.Key))
	}
	w.write(ctx, l, attrs...)
}

func (w *writer) parked(ctx context.Context, text string, e perdure.ParkEvent, more ...slog.Attr) {
	w.write(ctx, line{level: slog.LevelInfo, text: text, operation: e.Op, id: e.CorrelationID, class: e.For},
		append(more, slog.String("for", e.For))...)
}

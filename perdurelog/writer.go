package perdurelog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pgerr"
)

// writer writes lines, as far as its limiter lets them pass.
type writer struct {
	logger *slog.Logger
	trace  func(context.Context) (traceID, spanID string)
	limit  *limiter
}

// line is what all lines have.
type line struct {
	level     slog.Level
	text      string
	operation string
	id        string // correlation ID
	class     string // category or reason: what makes lines of one text alike
	always    bool   // not limited
	err       error
	verdict   pgerr.Verdict // of err
	reason    perdure.Reason
}

func (w *writer) write(ctx context.Context, l line, attrs ...slog.Attr) {
	if !w.logger.Enabled(ctx, l.level) {
		return
	}
	suppressed := 0
	if !l.always {
		var ok bool
		if suppressed, ok = w.limit.pass(kind{l.text, l.operation, l.class}); !ok {
			return
		}
	}
	all := make([]slog.Attr, 0, len(attrs)+12)
	add := func(key, value string) {
		if value != "" {
			all = append(all, slog.String(key, value))
		}
	}
	add("operation", l.operation)
	add("correlation_id", l.id)
	if w.trace != nil {
		traceID, spanID := w.trace(ctx)
		add("trace_id", traceID)
		add("span_id", spanID)
	}
	add("reason", l.reason.String())
	all = append(all, attrs...)
	if l.err != nil {
		all = append(all, failed(l.err, l.verdict)...)
	}
	if suppressed > 0 {
		all = append(all, slog.Int("suppressed", suppressed))
	}
	w.logger.LogAttrs(ctx, l.level, l.text, all...) //nolint:sloglint // each text is a literal in hooks.go
}

// failed says what may be said of an error.
func failed(err error, v pgerr.Verdict) []slog.Attr {
	attrs := []slog.Attr{slog.String("category", v.Category.String()), slog.String("severity", v.Severity.String())}
	if v.SQLState != "" {
		attrs = append(attrs, slog.String("sqlstate", v.SQLState))
		if entry, ok := pgerr.Lookup(v.SQLState); ok {
			attrs = append(attrs, slog.String("condition", entry.Condition))
		}
	} else if text := words(err); text != "" {
		attrs = append(attrs, slog.String("error", text))
	}
	if e, ok := errors.AsType[*perdure.Error](err); ok {
		if e.Hint != "" {
			attrs = append(attrs, slog.String("hint", e.Hint))
		}
		if !e.RetryAt.IsZero() {
			attrs = append(attrs, slog.Time("retry_at", e.RetryAt))
		}
	}
	return attrs
}

// words returns the words of an error that holds no data, or "". An error of a
// driver or of the caller may hold anything.
func words(err error) string {
	for _, known := range []error{
		perdure.ErrPanicked, perdure.ErrOutcomeUnknown, perdure.ErrBudgetSpent, perdure.ErrBreakerOpen, perdure.ErrClosed,
		context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, net.ErrClosed,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host"
		}
		return "name not resolved"
	}
	return ""
}

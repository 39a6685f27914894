package perdureotel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/perdure/perdure"
)

// instrument shows one Manager. A signal that is off is nil.
type instrument struct {
	m          *perdure.Manager
	operations *operations
	metrics    *metrics
	spans      *spans
	events     *events
}

// Instrument shows what m does from now on, until stop is called. Calls under
// way at that time are not shown any further: stop before the providers are
// shut down, and after the work. stop may be called more than once.
//
// It returns every fault of cfg, joined, or what the MeterProvider refused.
func Instrument(m *perdure.Manager, cfg Config) (stop func(), err error) {
	if m == nil {
		return nil, errors.New("perdureotel: the Manager is nil: make one with perdure.New")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("perdureotel: %w", err)
	}
	base := cfg.base(m.Name())
	i := &instrument{m: m, operations: newOperations(base, cmp.Or(cfg.MaxOperations, defaultMaxOperations))}
	if cfg.TracerProvider != nil {
		i.spans = newSpans(cfg.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(SchemaURL)), base, i.operations)
	}
	if cfg.LoggerProvider != nil {
		i.events = &events{logger: cfg.LoggerProvider.Logger(ScopeName, log.WithSchemaURL(SchemaURL)), base: base}
	}
	if cfg.MeterProvider != nil {
		meter := cfg.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(SchemaURL))
		if i.metrics, err = newMetrics(meter, m, base, i.operations); err != nil {
			return nil, fmt.Errorf("perdureotel: %w", err)
		}
	}
	remove := m.AddHooks(i.hooks())
	return sync.OnceFunc(func() {
		remove()
		if i.metrics != nil {
			i.metrics.stop()
		}
		if i.spans != nil {
			i.spans.outages.stop()
		}
	}), nil
}

// hooks returns the hooks that the signals need, and no others: what begins
// comes before what is told within it, what ends comes after.
func (i *instrument) hooks() perdure.Hooks {
	h := perdure.Hooks{CorrelationID: TraceID}
	if i.spans != nil {
		h.BreakerChange = i.spans.outages.begin
	}
	if i.metrics != nil {
		h = perdure.JoinHooks(h, i.metrics.hooks())
	}
	if i.events != nil {
		h = perdure.JoinHooks(h, i.events.hooks(i.spans))
	}
	if i.spans != nil {
		h = perdure.JoinHooks(h, i.spans.hooks())
		h = perdure.JoinHooks(h, perdure.Hooks{BreakerChange: i.spans.outages.end})
	}
	return h
}

// root is the context of what belongs to no call.
func root() context.Context { return context.Background() } //nolint:forbidigo // outages and timers have no caller

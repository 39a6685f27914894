package perdureotel

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// otherName is the operation of names beyond Config.MaxOperations.
const otherName = "other"

// maxFailures bounds the kinds of error that one operation tells apart in its
// histograms: an extension may raise any SQLSTATE.
const maxFailures = 64

// operation is what is prepared once for each name.
type operation struct {
	name      string
	attempt   string // name of the spans of repeats
	kvs       []attribute.KeyValue
	record    []metric.RecordOption
	observe   []metric.ObserveOption
	start     []trace.SpanStartOption
	unseen    atomic.Pointer[grid] // calls that succeeded at once, not recorded yet; nil until there is one
	mu        sync.Mutex           // guards the field below
	byFailure map[failure][]metric.RecordOption
}

func newOperation(name string, base []attribute.KeyValue) *operation {
	kvs := slices.Concat(base, []attribute.KeyValue{semconv.DBOperationName(name)})
	set := metric.WithAttributeSet(attribute.NewSet(slices.Clone(kvs)...)) // NewSet sorts what it is given
	return &operation{
		name: name, attempt: name + " attempt", kvs: kvs,
		record:    []metric.RecordOption{set},
		observe:   []metric.ObserveOption{set},
		start:     []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(kvs...)},
		byFailure: map[failure][]metric.RecordOption{},
	}
}

// count keeps the duration of a call that succeeded at once.
func (o *operation) count(d time.Duration) {
	g := o.unseen.Load()
	if g == nil {
		o.unseen.CompareAndSwap(nil, new(grid))
		g = o.unseen.Load()
	}
	g.add(d)
}

// failed returns the attributes of an error's measurements.
func (o *operation) failed(f failure) []metric.RecordOption {
	o.mu.Lock()
	defer o.mu.Unlock()
	opts, known := o.byFailure[f]
	if !known {
		if len(o.byFailure) >= maxFailures {
			f = failure{kind: errorOther}
			if opts, known = o.byFailure[f]; known {
				return opts
			}
		}
		set := attribute.NewSet(slices.Concat(o.kvs, f.attributes())...)
		opts = []metric.RecordOption{metric.WithAttributeSet(set)}
		o.byFailure[f] = opts
	}
	return opts
}

// operations finds an operation by its name without a lock; adding one copies
// the map.
type operations struct {
	base  []attribute.KeyValue
	limit int
	other *operation
	known atomic.Pointer[map[string]*operation]
	mu    sync.Mutex // held while adding
}

func newOperations(base []attribute.KeyValue, limit int) *operations {
	all := &operations{base: base, limit: limit, other: newOperation(otherName, base)}
	all.known.Store(&map[string]*operation{})
	return all
}

func (all *operations) get(name string) *operation {
	if o, ok := (*all.known.Load())[name]; ok {
		return o
	}
	return all.add(name)
}

func (all *operations) add(name string) *operation {
	all.mu.Lock()
	defer all.mu.Unlock()
	known := *all.known.Load()
	if o, ok := known[name]; ok {
		return o
	}
	if name == otherName || len(known) >= all.limit {
		return all.other
	}
	next := maps.Clone(known)
	next[name] = newOperation(name, all.base)
	all.known.Store(&next)
	return next[name]
}

// drain records what the grids hold.
func (all *operations) drain(ctx context.Context, hs ...metric.Float64Histogram) {
	for _, o := range *all.known.Load() {
		o.drain(ctx, hs)
	}
	all.other.drain(ctx, hs)
}

func (o *operation) drain(ctx context.Context, hs []metric.Float64Histogram) {
	g := o.unseen.Load()
	if g == nil {
		return
	}
	g.drain(func(d time.Duration, n uint32) {
		for range n {
			for _, h := range hs {
				h.Record(ctx, d.Seconds(), o.record...)
			}
		}
	})
}

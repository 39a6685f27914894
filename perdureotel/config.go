package perdureotel

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// ScopeName is the name of the instrumentation scope of all that this package
// emits.
const ScopeName = "github.com/perdure/perdure/perdureotel"

// SchemaURL names the pinned version of the semantic conventions, 1.43.0. A
// newer one is a change of names, and is listed in the changelog.
const SchemaURL = semconv.SchemaURL

const defaultMaxOperations = 1024

// Config configures [Instrument]. A provider that is nil switches its signal
// off; give otel.GetTracerProvider() and the like for the global ones.
type Config struct {
	// TracerProvider gets a span for each call and for each attempt after the first, and one for
	// each outage. Nil means no spans.
	TracerProvider trace.TracerProvider
	// MeterProvider gets the metrics. Durations of calls that succeed at once, outside a sampled
	// trace, are recorded at the next collection (or two minutes later, if nobody collects), with a
	// resolution of 1.6 %. Nil means no metrics.
	MeterProvider metric.MeterProvider
	// LoggerProvider gets what happens to calls, breakers and commits as log events. Events of a call
	// whose trace is not sampled are left out. Nil means no events.
	LoggerProvider log.LoggerProvider
	// ServerAddress is server.address of the database: a host name or a socket's directory. Empty
	// means that it is not shown.
	ServerAddress string
	// ServerPort is server.port. Zero means that it is not shown; it needs ServerAddress.
	ServerPort int
	// Namespace is db.namespace, for PostgreSQL the name of the database. Empty means that it is not shown.
	Namespace string
	// MaxOperations is how many names of operations are told apart; what further ones do is shown
	// under "other". It should be that of the Manager. Zero means 1,024.
	MaxOperations int
}

// Validate returns every fault of c, joined, or nil.
func (c Config) Validate() error {
	var faults []error
	if c.ServerPort < 0 || c.ServerPort > 65535 {
		faults = append(faults, fmt.Errorf("server_port: %d is not between 0 and 65535", c.ServerPort))
	}
	if c.ServerPort != 0 && c.ServerAddress == "" {
		faults = append(faults, fmt.Errorf("server_port: %d without server_address", c.ServerPort))
	}
	if c.MaxOperations < 0 {
		faults = append(faults, fmt.Errorf("max_operations: %d is negative", c.MaxOperations))
	}
	return errors.Join(faults...)
}

// base returns the attributes that everything of one Manager carries.
func (c Config) base(manager string) []attribute.KeyValue {
	kvs := []attribute.KeyValue{semconv.DBSystemNamePostgreSQL, ManagerKey.String(manager)}
	if c.Namespace != "" {
		kvs = append(kvs, semconv.DBNamespace(c.Namespace))
	}
	if c.ServerAddress != "" {
		kvs = append(kvs, semconv.ServerAddress(c.ServerAddress))
	}
	if c.ServerPort != 0 {
		kvs = append(kvs, semconv.ServerPort(c.ServerPort))
	}
	return kvs
}

// Package perdureotel shows what a [perdure.Manager] does through OpenTelemetry:
// metrics and spans by the semantic conventions for database clients, and log
// events with the context of their trace.
//
//	stop, err := perdureotel.Instrument(m, perdureotel.Config{
//		TracerProvider: tp, MeterProvider: mp, LoggerProvider: lp,
//	})
//	defer stop()
//
// It uses the OpenTelemetry API alone and works with any provider. Any number
// of Managers may share a provider: the attribute perdure.manager tells them
// apart. docs/opentelemetry.md lists every name.
//
// # What it costs
//
// A call that succeeds at once costs two atomic additions and a lookup: its
// duration is kept in a grid (see [Config].MeterProvider) and recorded when
// metrics are collected. Counters are read from [perdure.Manager.Snapshot] at
// that time. Spans cost what the provider makes them cost.
//
// # What it never shows
//
// No SQL, no argument, no text of an error: errors are shown by SQLSTATE,
// category, severity and reason.
package perdureotel

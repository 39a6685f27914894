// Package otelcollector holds a test alone: what perdureotel shows travels by
// OTLP to a real OpenTelemetry Collector in a process of its own, and comes out
// of it unharmed. It is a module of its own, so that nobody else meets the
// collector's dependencies.
package otelcollector

// Package servertest runs pipelines on a real Temporal server, with workers that
// are killed and frozen. Its tests have the build tag "temporal", because the
// server takes minutes to compile once: make test-temporal runs them.
package servertest

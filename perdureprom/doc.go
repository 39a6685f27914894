// Package perdureprom shows what perdure's Managers do to Prometheus.
//
//	collector, err := perdureprom.New(m)
//	registry.MustRegister(collector, perdureprom.NewPool(m.Name(), db.Pool().Stat))
//
// A [Collector] reads the Managers' snapshots when it is scraped and at no
// other time, so that calls pay nothing for it. Names, labels, units and what
// to do about each metric are in docs/metrics.md, which is written from
// [Metrics].
//
// # Cardinality
//
// Operations are the only label values that a program makes up, and a Manager
// keeps a bounded number of them (Config.MaxOperations; further ones are
// counted as "other"). A known operation has about 80 series, 40 of them the
// classic buckets of its two histograms. The names "database" (its breaker) and
// "other" are reserved.
//
// # Histograms
//
// Durations are exported as classic and as native histograms at once; which of
// them is kept is Prometheus' choice: deploy/README.md shows how to keep both. Counts, sums and classic buckets are
// exact; see [Metrics] for what native ones can tell.
package perdureprom

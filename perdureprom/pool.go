package perdureprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PoolStat is what a pool of connections tells about itself. A *pgxpool.Stat
// is one.
type PoolStat interface {
	AcquiredConns() int32
	IdleConns() int32
	ConstructingConns() int32
	MaxConns() int32
	// EmptyAcquireCount and EmptyAcquireWaitTime tell how often, and how long in all, a connection was waited for.
	EmptyAcquireCount() int64
	EmptyAcquireWaitTime() time.Duration
}

// Pool exports the metrics of a pool of connections. It is safe for concurrent
// use if the function that it was given is.
type Pool struct {
	stat                      func() PoolStat
	connections, limit, waits *prometheus.Desc
}

// NewPool returns a Collector of the pool that stat looks at when it is
// scraped, for the database that the Manager of that name guards:
//
//	perdureprom.NewPool(m.Name(), db.Pool().Stat)
func NewPool[S PoolStat](manager string, stat func() S) *Pool {
	m := poolMetrics()
	fixed := prometheus.Labels{labelManager: manager}
	return &Pool{
		stat:        func() PoolStat { return stat() },
		connections: m[0].desc(fixed), limit: m[1].desc(fixed), waits: m[2].desc(fixed),
	}
}

func poolMetrics() []Metric {
	return []Metric{
		{
			Name: "database_pool_connections", Type: gauge, Labels: []string{labelManager, "state"},
			Help: "Connections of the pool by state: acquired, idle, constructing.",
			Use:  "acquired at database_pool_max_connections for long: the pool is full, and callers wait.",
		},
		{
			Name: "database_pool_max_connections", Type: gauge, Labels: []string{labelManager},
			Help: "Connections that the pool may have.",
			Use:  "The limit to read database_pool_connections by. All pools together must fit the server's max_connections.",
		},
		{
			Name: "database_pool_acquire_wait_seconds", Type: summary, Unit: "seconds", Labels: []string{labelManager},
			Help: "Waits for a connection of the pool because none was idle, without quantiles.",
			Use:  "The rate of _sum is how many callers wait on average; _sum by _count is how long one waits.",
		},
	}
}

// Describe sends the descriptions of the metrics.
func (p *Pool) Describe(ch chan<- *prometheus.Desc) {
	ch <- p.connections
	ch <- p.limit
	ch <- p.waits
}

// Collect asks the pool.
func (p *Pool) Collect(ch chan<- prometheus.Metric) {
	s := p.stat()
	send := func(d *prometheus.Desc, n int32, labels ...string) {
		m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(d, err)
		}
		ch <- m
	}
	send(p.connections, s.AcquiredConns(), "acquired")
	send(p.connections, s.IdleConns(), "idle")
	send(p.connections, s.ConstructingConns(), "constructing")
	send(p.limit, s.MaxConns())
	m, err := prometheus.NewConstSummary(p.waits, uint64(max(s.EmptyAcquireCount(), 0)), s.EmptyAcquireWaitTime().Seconds(), nil)
	if err != nil {
		m = prometheus.NewInvalidMetric(p.waits, err)
	}
	ch <- m
}

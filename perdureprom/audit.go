package perdureprom

import "github.com/prometheus/client_golang/prometheus"

// Audit exports the counters of an audit trail. It is safe for concurrent use
// if the functions that it was given are.
type Audit struct {
	counters []prometheus.CounterFunc
}

// NewAudit returns a Collector of the records that were written, and of those
// that could not be: two functions whose values never fall.
func NewAudit(records, failures func() uint64) *Audit {
	a := &Audit{}
	for i, count := range []func() uint64{records, failures} {
		m := auditMetrics()[i]
		a.counters = append(a.counters, prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: m.Name, Help: m.Help}, func() float64 { return float64(count()) },
		))
	}
	return a
}

func auditMetrics() []Metric {
	return []Metric{
		{
			Name: "perdure_audit_records_total", Type: counter,
			Help: "Records that were written to the audit trail.",
			Use:  "A trail that stands still while breakers change is broken.",
		},
		{
			Name: "perdure_audit_failures_total", Type: counter,
			Help: "Records that could not be written to the audit trail.",
			Use:  "Any increase: what happened is not on record. See the runbook.",
		},
	}
}

// Describe sends the descriptions of the metrics.
func (a *Audit) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range a.counters {
		c.Describe(ch)
	}
}

// Collect asks the functions.
func (a *Audit) Collect(ch chan<- prometheus.Metric) {
	for _, c := range a.counters {
		c.Collect(ch)
	}
}

package perdureprom

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perdure/perdure"
)

// modulePath is how build information names perdure.
const modulePath = "github.com/perdure/perdure"

// Collector exports the metrics of Managers. It is safe for concurrent use,
// and holds nothing but the Managers: each scrape reads their snapshots.
type Collector struct {
	sources []source
	version string
}

// source is a Manager with the descriptions of its metrics, which differ from
// those of other Managers by the value of the label manager. So any number of
// Collectors can be in one registry.
type source struct {
	manager *perdure.Manager
	descs   [idCount]*prometheus.Desc
}

// New returns a Collector of one or more Managers, which must differ in their
// Config.Name.
func New(managers ...*perdure.Manager) (*Collector, error) {
	if len(managers) == 0 {
		return nil, errors.New("perdureprom: no Manager: make one with perdure.New")
	}
	c := &Collector{version: version()}
	known := map[string]bool{}
	for _, m := range managers {
		if m == nil {
			return nil, errors.New("perdureprom: a Manager is nil: make it with perdure.New")
		}
		if known[m.Name()] {
			return nil, fmt.Errorf("perdureprom: two Managers are named %q: give each a Config.Name of its own", m.Name())
		}
		known[m.Name()] = true
		s := source{manager: m}
		for i, metric := range managerMetrics() {
			s.descs[i] = metric.desc(prometheus.Labels{labelManager: m.Name()})
		}
		c.sources = append(c.sources, s)
	}
	return c, nil
}

// desc describes m to Prometheus; labels with a fixed value are not variable.
func (m Metric) desc(fixed prometheus.Labels) *prometheus.Desc {
	var variable []string
	for _, l := range m.Labels {
		if _, ok := fixed[l]; !ok {
			variable = append(variable, l)
		}
	}
	return prometheus.NewDesc(m.Name, m.Help, variable, fixed)
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.sources {
		for _, d := range c.sources[i].descs {
			ch <- d
		}
	}
}

// Collect sends what the Managers' snapshots hold.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for i := range c.sources {
		s := &c.sources[i]
		e := emitter{ch: ch, descs: &s.descs}
		e.manager(s.manager.Snapshot())
		e.gauge(buildInfo, 1, c.version, runtime.Version())
	}
}

// version is that of perdure in the program that runs.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			if m.Replace != nil {
				m = m.Replace
			}
			if m.Version != "" {
				return m.Version
			}
			return "(devel)"
		}
	}
	if info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

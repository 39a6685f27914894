// Package console puts behind one listener what can be seen of Managers:
// metrics, probes, the dashboard with its events, the API and its few changes.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/dashboard"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/health"
	"github.com/perdure/perdure/perdureprom"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// Config configures a Console. Only Managers must be set.
type Config struct {
	// Managers are shown from the start to the end, also before and after they work.
	Managers []*perdure.Manager
	// Checks decide whether the process is ready. Nil means one for each Manager that follows its
	// database's breaker and only warns.
	Checks []health.Check
	// Admin is the configuration of the listener; Managers, Metrics and Routes are filled in.
	Admin admin.Config
	// Version is that of the program.
	Version string
	// Logger is told what no request can be. Nil means no logging.
	Logger *slog.Logger
}

// Console is a listener with all that it shows. It is safe for concurrent use.
type Console struct {
	registry  *prometheus.Registry
	pipelines *perdureprom.Pipelines
	runs      *runs.Registry
	health    *health.Health
	observer  *observe.Observer
	server    *admin.Server
	unhook    []func() // from the Managers
}

// New returns a Console, or every fault of cfg joined. It does no I/O and starts
// no goroutine.
func New(ctx context.Context, cfg Config) (*Console, error) {
	if cfg.Checks == nil {
		cfg.Checks = Follow(cfg.Managers)
	}
	c := &Console{registry: prometheus.NewRegistry(), pipelines: perdureprom.NewPipelines(), runs: runs.NewRegistry()}
	managers, err := perdureprom.New(cfg.Managers...)
	if err != nil {
		return nil, err
	}
	err = c.Register(managers, c.pipelines, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err != nil {
		return nil, err
	}
	c.health, err = health.New(context.WithoutCancel(ctx), health.Config{
		Checks: cfg.Checks, ErrorText: redact.Error, Description: "perdure", Version: cfg.Version,
	})
	if err != nil {
		return nil, err
	}
	if c.observer, err = observe.New(sources(cfg.Managers)); err != nil {
		return nil, err
	}
	page, err := dashboard.New(c.observer, dashboard.Options{Version: cfg.Version, Runs: c.runs})
	if err != nil {
		return nil, err
	}
	a := cfg.Admin
	a.Managers, a.Metrics, a.Runs = cfg.Managers, c.registry, c.runs
	a.Routes = append(a.Routes,
		admin.Route{Pattern: "GET /livez", Handler: c.health.Live(), Open: true},
		admin.Route{Pattern: "GET /readyz", Handler: c.health.Ready(), Open: true},
		admin.Route{Pattern: "GET /startupz", Handler: c.health.Startup(), Open: true},
		admin.Route{Pattern: "GET /healthz", Handler: c.health.Report()},
		admin.Route{Pattern: "GET /{$}", Handler: page},
		admin.Route{Pattern: "GET /runs", Handler: page},
		admin.Route{Pattern: "GET /fragment", Handler: page},
		admin.Route{Pattern: "GET /assets/{name}", Handler: page},
		admin.Route{Pattern: "GET /events", Handler: page, Stream: true},
	)
	if c.server, err = admin.New(a); err != nil {
		return nil, err
	}
	for _, m := range cfg.Managers {
		c.unhook = append(c.unhook, m.AddHooks(c.runs.Hooks()))
	}
	return c, nil
}

// WatchRun shows a run: on the page, in the API, in the events and in the
// metrics. The sinks are told too. A nil Console tells the sinks alone.
func (c *Console) WatchRun(b runs.Begin, sinks ...runs.Sink) *runs.Watched {
	if c == nil {
		return runs.Watch(b, nil, sinks...)
	}
	return runs.Watch(b, c.runs, append(sinks, runs.Events(c.observer), runs.Metrics(c.pipelines))...)
}

// Remember shows also the runs that an engine remembers; nil ends that. A nil
// Console does nothing.
func (c *Console) Remember(engine pipeline.Durable) {
	if c != nil {
		c.runs.Remember(engine)
	}
}

// Register adds metrics.
func (c *Console) Register(all ...prometheus.Collector) error {
	var faults []error
	for _, one := range all {
		faults = append(faults, c.registry.Register(one))
	}
	return errors.Join(faults...)
}

// Pool adds the pool of a Manager's database.
func Pool[S perdureprom.PoolStat](c *Console, m *perdure.Manager, stat func() S) error {
	return errors.Join(
		c.Register(perdureprom.NewPool(m.Name(), stat)),
		c.observer.SetPool(m.Name(), observe.PoolOf(stat)),
	)
}

// sources are the Managers as package observe wants them; their pools come later.
func sources(managers []*perdure.Manager) (cfg observe.Config) {
	for _, m := range managers {
		cfg.Sources = append(cfg.Sources, observe.Source{Manager: m})
	}
	return cfg
}

// Drain makes the process not ready.
func (c *Console) Drain() { c.health.SetDraining(true) }

// Run serves ln until ctx ends, then ends what runs. It returns nil on a clean
// stop.
func (c *Console) Run(ctx context.Context, ln net.Listener) error {
	observing, end := context.WithCancel(context.WithoutCancel(ctx))
	observed := make(chan error, 1)
	go func() { observed <- c.observer.Run(observing) }()
	err := c.server.Run(ctx, ln)
	end()
	for _, unhook := range c.unhook {
		unhook()
	}
	err = errors.Join(err, <-observed)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, c.health.Close(late))
}

// Follow returns checks that follow the breakers of the Managers' databases.
func Follow(managers []*perdure.Manager) []health.Check {
	var all []health.Check
	for _, m := range managers {
		all = append(all, health.Breaker(CheckName(m.Name()), func() health.BreakerState {
			s := m.Breaker("database").Snapshot()
			return health.BreakerState{State: s.State.String(), Held: s.Held != breaker.NotHeld}
		}))
	}
	return all
}

// CheckName returns the name of the check of a Manager's database, as package
// health wants names.
func CheckName(manager string) string {
	name := "database." + strings.ToLower(manager)
	return name[:min(len(name), 63)]
}

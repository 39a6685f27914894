package guard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/perdureprom"
)

// scrapeEvery is how often the metrics are scraped while they are measured: 150 times as often as Prometheus usually does.
const scrapeEvery = 100 * time.Millisecond

// Perdure is a Manager with the defaults of its documentation (doc.go of the
// root package): both breakers, budget, counters and histogram are on.
type Perdure struct {
	// Manager is the one that guards.
	Manager *perdure.Manager
	op      perdure.Op
}

// Do runs work as an operation that may be repeated.
func (p *Perdure) Do(ctx context.Context, work Work) error { return p.Manager.Do(ctx, p.op, work) }

// PerdureConfig is the configuration of a Manager for s.
func PerdureConfig(s Settings) perdure.Config {
	delays := backoff.Config{Initial: s.Delay, Max: s.maxDelay()}
	if s.Delay == 0 {
		delays = backoff.Config{Func: func(int) time.Duration { return 0 }}
	}
	cfg := perdure.Config{Policy: perdure.Policy{MaxAttempts: Attempts, Backoff: delays, Contention: delays, Overload: delays}}
	cfg.Policy.AttemptTimeout = s.Limit
	if s.Once {
		cfg.Policy.MaxAttempts = 1
	}
	if s.NoBreaker {
		cfg.Policy.Breaker.Rule = breaker.Off
		cfg.Database.Rule = breaker.Off
	}
	return cfg
}

// NewPerdure returns the guard of a Manager with cfg.
func NewPerdure(cfg perdure.Config) (*Perdure, error) {
	m, err := perdure.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Perdure{Manager: m, op: perdure.Op{Name: "bench.read", ReadOnly: true}}, nil
}

func newPerdure(ctx context.Context, s Settings) (Guard, func() error, error) {
	p, err := NewPerdure(PerdureConfig(s))
	if err != nil {
		return nil, nil, err
	}
	if err := p.Manager.Declare(p.op); err != nil {
		return nil, nil, err
	}
	if s.Open && !s.NoBreaker {
		p.Manager.Breaker(p.op.Name).HoldOpen("bench")
	}
	return p, func() error { return p.Manager.Close(context.WithoutCancel(ctx)) }, nil
}

// newScraped attaches Prometheus, which reads the Manager all the time.
func newScraped(ctx context.Context, s Settings) (Guard, func() error, error) {
	g, closed, err := newPerdure(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	c, err := perdureprom.New(g.(*Perdure).Manager)
	if err != nil {
		return nil, nil, err
	}
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		return nil, nil, err
	}
	stop := make(chan struct{})
	var scrapes sync.WaitGroup
	var failed error
	scrapes.Go(func() {
		tick := time.NewTicker(scrapeEvery)
		defer tick.Stop()
		for {
			if _, err := r.Gather(); err != nil {
				failed = errors.Join(failed, err)
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return g, func() error {
		close(stop)
		scrapes.Wait()
		return errors.Join(failed, closed())
	}, nil
}

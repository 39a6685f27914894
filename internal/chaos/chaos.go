// Package chaos breaks a database while a program works on it: a server is
// killed and started again, connections are cut around COMMIT, locks are taken
// in the wrong order. What it did is counted by kind, at the place where it
// happened and not where it was planned.
//
// Faults follow the count of COMMITs and not the clock, so that a slow machine
// meets as many as a fast one.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/pgcluster"
)

// Config says what to break.
type Config struct {
	// Level says how much. Off is not for New: without faults no proxy is needed.
	Level Level
	// Seed makes the choices repeatable.
	Seed uint64
	// Target is the host:port of the server.
	Target string
	// Cluster is the server itself, if it is ours to kill. Nil: it is spared.
	Cluster *pgcluster.Cluster
	// Session leads to the database past the proxy, for the session that takes
	// Locks. It is needed only for them.
	Session *pgx.ConnConfig
	// Locks are two statements that lock what the work locks in the other
	// order. Empty: no deadlocks are made.
	Locks [2]string
}

// Chaos is one proxy with its faults. It serves one run.
type Chaos struct {
	cfg     Config
	plan    plan
	proxy   *faultproxy.Proxy
	rules   []*faultproxy.RuleHandle
	strikes chan strike

	commits atomic.Int64

	mu     sync.Mutex // guards the fields below
	rng    *rand.Rand
	due    []strike // by COMMIT
	counts Counts
}

// New listens, so that Addr is known; Run does the rest. Whoever called New
// must call Run or Close.
func New(cfg Config) (*Chaos, error) {
	p, ok := plans()[cfg.Level]
	if !ok || cfg.Level == Off {
		return nil, fmt.Errorf("chaos level %q, want %s or %s", cfg.Level, Mild, Severe)
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, 0x63686173)) //nolint:gosec // to be repeated, not to be kept secret
	c := &Chaos{cfg: cfg, plan: p, strikes: make(chan strike, 64), rng: rng}
	if cfg.Cluster != nil {
		c.due = p.schedule(c.rng)
	}
	proxy, err := faultproxy.New(faultproxy.Config{Target: cfg.Target, Seed: cfg.Seed, OnFault: c.onFault})
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	c.proxy = proxy
	for _, r := range p.rules() {
		h, err := proxy.Add(r)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("chaos: rule %s: %w", r.Name, err), proxy.Close())
		}
		c.rules = append(c.rules, h)
	}
	return c, nil
}

// Addr is where the program connects to, host:port.
func (c *Chaos) Addr() string { return c.proxy.Addr() }

// Close is for a Chaos that was never run.
func (c *Chaos) Close() error { return c.proxy.Close() }

// Run breaks things until ctx ends, and returns when the proxy is closed, no
// session of its own is left, and the server answers.
func (c *Chaos) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	var proxyErr, killErr error
	wg.Go(func() { proxyErr = c.proxy.Run(ctx) })
	wg.Go(func() { killErr = c.killer(ctx) })
	if c.cfg.Session != nil && c.cfg.Locks[0] != "" && c.plan.deadlocks > 0 {
		wg.Go(func() { c.locker(ctx) })
	}
	wg.Wait()
	return errors.Join(proxyErr, killErr)
}

// Counts returns what has happened so far.
func (c *Chaos) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

func (c *Chaos) count(f func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.counts)
}

// onFault counts what the proxy did, and every COMMIT, which sets off what is
// due at that number. It never waits: the killer does the killing.
func (c *Chaos) onFault(f faultproxy.Fault) {
	switch {
	case f.Rule == ruleConflict:
		c.count(func(n *Counts) {
			if f.Text == "40P01" {
				n.Deadlocks++
			} else {
				n.SerializationFailures++
			}
		})
		return
	case strings.HasPrefix(f.Rule, ruleLost):
		c.count(func(n *Counts) { n.CommitRepliesLost++ })
		return
	case strings.HasPrefix(f.Rule, ruleCut):
		c.count(func(n *Counts) { n.CutBeforeCommit++ })
	}
	n := c.commits.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.due) > 0 && n >= c.due[0].at {
		s := c.due[0]
		c.due = c.due[1:]
		s.pid = f.BackendPID
		select {
		case c.strikes <- s:
		default: // more are waiting than were ever planned
		}
	}
}

// killer stops and starts the server, one strike at a time.
func (c *Chaos) killer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-c.strikes:
			if err := c.strike(ctx, s); err != nil {
				return fmt.Errorf("chaos: %s: %w", s.kind, err)
			}
		}
	}
}

func (c *Chaos) strike(ctx context.Context, s strike) error {
	// A server that is being broken is mended, whatever happens to ctx.
	ctx = context.WithoutCancel(ctx)
	cluster := c.cfg.Cluster
	switch s.kind {
	case killBackend:
		pid := s.pid
		if err := cluster.KillBackend(pid); err != nil {
			// The one whose COMMIT set this off is gone: any other will do.
			others, err := cluster.Backends()
			if err != nil {
				return err
			}
			if len(others) == 0 {
				return nil
			}
			pid = others[0].PID
			if err := cluster.KillBackend(pid); err != nil {
				return nil //nolint:nilerr // it has ended meanwhile: nothing was killed, nothing is counted
			}
		}
		c.count(func(n *Counts) { n.BackendKills++ })
		return cluster.AwaitRecovery(ctx, pid)
	case killPostmaster:
		if err := cluster.Kill(); err != nil {
			return err
		}
		c.count(func(n *Counts) { n.PostmasterKills++ })
	case stopImmediate:
		if err := cluster.Stop(ctx, pgcluster.Immediate); err != nil {
			return err
		}
		c.count(func(n *Counts) { n.ImmediateStops++ })
	}
	pause(ctx, s.down)
	return cluster.Start(ctx)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

package main

import (
	"context"
	"net"
	"net/url"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/redact"
)

// chaosFlags say what is broken while a pipeline runs.
type chaosFlags struct {
	level chaos.Level
	seed  uint64
}

func (f *chaosFlags) add(cmd *cobra.Command, levels string) {
	cmd.Flags().StringVar((*string)(&f.level), "chaos", string(f.level), levels)
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "of the chaos")
}

func (f chaosFlags) check() error { return checkLevel(f.level) }

func checkLevel(l chaos.Level) error {
	switch l {
	case chaos.Off, chaos.Mild, chaos.Severe:
		return nil
	}
	return usageError("--chaos %q: want off, mild or severe", string(l))
}

// disturbance is what is being broken.
type disturbance struct {
	// addr is where to connect to: what is in between breaks things. Empty: nothing is.
	addr string
	// counts says what happened so far.
	counts func() chaos.Counts
	// calm ends it, and returns when the server is well. Further calls return
	// what the first one did.
	calm func() error
}

// peace breaks nothing.
func peace() disturbance {
	return disturbance{counts: func() chaos.Counts { return chaos.Counts{} }, calm: func() error { return nil }}
}

// disturb begins to break the server at a place: only what is ours is killed.
// locks are those of chaos.Config.
func (f chaosFlags) disturb(ctx context.Context, p place, srv *server, locks [2]string) (disturbance, error) {
	if f.level == chaos.Off {
		return peace(), nil
	}
	target, err := p.proxied()
	if err != nil {
		return disturbance{}, err
	}
	direct, err := p.pool("")
	if err != nil {
		return disturbance{}, err
	}
	c, err := chaos.New(chaos.Config{
		Level: f.level, Seed: f.seed, Target: target, Cluster: srv.cluster, Session: direct.ConnConfig, Locks: locks,
	})
	if err != nil {
		return disturbance{}, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return disturbance{addr: c.Addr(), counts: c.Counts, calm: sync.OnceValue(func() error {
		cancel()
		return <-ended
	})}, nil
}

// urlFor returns what the processes of a run connect with: they meet the same
// faults as the pool does.
func (d disturbance) urlFor(p place) (redact.Secret, error) {
	if d.addr == "" {
		return databaseURL(p.url), nil
	}
	cfg, err := pgx.ParseConfig(p.url)
	if err != nil {
		return redact.Secret{}, err
	}
	host, port, err := net.SplitHostPort(d.addr)
	if err != nil {
		return redact.Secret{}, err
	}
	u := url.URL{Scheme: "postgres", User: url.User(cfg.User), Host: net.JoinHostPort(host, port), Path: "/" + cfg.Database}
	if cfg.Password != "" {
		u.User = url.UserPassword(cfg.User, cfg.Password)
	}
	q := url.Values{"sslmode": {"disable"}}
	for _, name := range []string{"application_name", "options"} { // what every driver knows
		if value := cfg.RuntimeParams[name]; value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return redact.NewSecret(u.String()), nil
}

// databaseURL is what processes are given to connect with.
func databaseURL(url string) redact.Secret {
	if url == "" { // PG* say it, and the environment may not
		return redact.Secret{}
	}
	return redact.NewSecret(url)
}

package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/cmd/perdure/internal/console"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// listenFlags say where a run can be watched.
type listenFlags struct {
	addr        string
	admin       bool
	tokenFile   string
	allowRemote bool
	openMetrics bool
	hosts       []string
	stateDir    string // empty: the default
}

func (f *listenFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.addr, "listen", "", "show runs, metrics, health and breakers on this address while it lasts, such as 127.0.0.1:7070")
	cmd.Flags().BoolVar(&f.admin, "admin", false, "let whoever has the admin token hold and release breakers")
	cmd.Flags().StringVar(&f.tokenFile, "admin-token-file", "", "file with the admin token (default: admin.token in the state directory, made when needed)")
	cmd.Flags().BoolVar(&f.allowRemote, "allow-remote", false, "let --listen be an address that other machines can reach; reading then needs a token")
	cmd.Flags().BoolVar(&f.openMetrics, "open-metrics", false, "let other machines read /metrics without a token")
	cmd.Flags().StringSliceVar(&f.hosts, "allow-host", nil, "a name by which the listener may be called, beside localhost and addresses")
}

// input are the flags in the form that package config reads.
func (f *listenFlags) input() config.Input {
	flags := map[string]string{"listen": f.addr}
	if f.stateDir != "" {
		flags["state-dir"] = f.stateDir
	}
	if f.admin {
		flags["admin"] = "true"
	}
	if f.tokenFile != "" {
		flags["admin-token-file"] = f.tokenFile
	}
	if f.allowRemote {
		flags["allow-remote"] = "true"
	}
	if f.openMetrics {
		flags["open-metrics"] = "true"
	}
	for i, h := range f.hosts {
		if i > 0 {
			h = flags["allow-host"] + "," + h
		}
		flags["allow-host"] = h
	}
	return config.Input{Flags: flags, Env: tokensOnly}
}

// tokensOnly finds the variables that hold tokens: what else is in the
// environment is meant for serve, or read by the command itself.
func tokensOnly(name string) (string, bool) {
	if name == "PERDURE_ADMIN_TOKEN" || name == "PERDURE_READ_TOKEN" || name == "PERDURE_STATE_DIR" {
		return os.LookupEnv(name)
	}
	return "", false
}

// shown is the listener of a run. All its methods do nothing if there is none.
type shown struct {
	console *console.Console
	stop    context.CancelFunc
	served  chan error
}

// show opens the listener that the flags ask for and serves it until end.
func (a *app) show(ctx context.Context, f listenFlags, managers ...*perdure.Manager) (*shown, error) {
	if f.addr == "" {
		if f.admin || f.allowRemote || f.openMetrics || len(f.hosts) > 0 || f.tokenFile != "" {
			return nil, usageError("without --listen there is nothing that the other flags of the listener could be for")
		}
		return &shown{}, nil
	}
	e, err := config.Load(f.input())
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	tokens, err := e.Tokens()
	if err != nil {
		return nil, err
	}
	for _, file := range tokens.Made {
		a.say("A token was made: %s", file)
	}
	log := slog.New(redact.Handler(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	c, err := console.New(ctx, console.Config{
		Managers: managers, Version: version().Version, Logger: log,
		Admin: admin.Config{
			Token: tokens.Admin, Remote: f.allowRemote, ReadToken: tokens.Read, OpenMetrics: f.openMetrics, Hosts: f.hosts, Logger: log,
		},
	})
	if err != nil {
		return nil, err
	}
	ln, err := admin.Listen(ctx, f.addr, f.allowRemote)
	if err != nil {
		return nil, err
	}
	s := &shown{console: c, served: make(chan error, 1)}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { s.served <- c.Run(ctx, ln) }()
	a.say("Listening on %s", urlOf(ln.Addr()))
	return s, nil
}

func urlOf(addr net.Addr) string { return "http://" + addr.String() + "/" }

// watch shows a run, if there is a listener, and tells the sinks.
func (s *shown) watch(b runs.Begin, sinks ...runs.Sink) *runs.Watched {
	if s == nil {
		return runs.Watch(b, nil, sinks...)
	}
	return s.console.WatchRun(b, sinks...)
}

// remember shows the runs that an engine knows; nil ends that.
func (s *shown) remember(e pipeline.Durable) {
	if s != nil {
		s.console.Remember(e)
	}
}

// guards shows the pool of a Manager's database.
func (s *shown) guards(g *guarded) error {
	if s.console == nil {
		return nil
	}
	return console.Pool(s.console, g.manager, g.db.Pool().Stat)
}

// end keeps the listener up for hold, or until stop, and closes it.
func (s *shown) end(ctx context.Context, hold time.Duration, stop <-chan struct{}) error {
	if s.console == nil {
		return nil
	}
	if hold > 0 {
		t := time.NewTimer(hold)
		defer t.Stop()
		select {
		case <-t.C:
		case <-stop:
		case <-ctx.Done():
		case err := <-s.served: // it cannot be kept up any more
			s.served <- err
		}
	}
	s.console.Drain()
	s.stop()
	return <-s.served
}

// paths are where serve keeps its files, as far as the environment says: what
// is asked for with another command is then that of the same process.
func paths() (*config.Effective, error) { return pathsIn("") }

// pathsIn is paths, with another state directory unless that is empty.
func pathsIn(stateDir string) (*config.Effective, error) {
	flags := map[string]string{}
	if stateDir != "" {
		flags["state-dir"] = stateDir
	}
	return config.Load(config.Input{Flags: flags, Env: func(name string) (string, bool) {
		switch name {
		case "PERDURE_STATE_DIR", "PERDURE_AUDIT_DIR", "PERDURE_ADMIN_TOKEN_FILE":
			return os.LookupEnv(name)
		}
		return "", false
	}})
}

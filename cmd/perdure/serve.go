package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/cmd/perdure/internal/daemon"
	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/redact"
)

// settingFlags are the flags of serve and config: one for each setting that has
// one, and the file.
type settingFlags struct {
	file  string
	flags *pflag.FlagSet
}

func (f *settingFlags) add(cmd *cobra.Command) {
	f.flags = cmd.Flags()
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file (default: $PERDURE_CONFIG, else none)")
	for _, s := range config.Settings() {
		if s.Flag == "" {
			continue
		}
		cmd.Flags().String(s.Flag, "", config.Describe(s))
		if config.IsSwitch(s) {
			cmd.Flags().Lookup(s.Flag).NoOptDefVal = "true"
		}
	}
}

// load puts the configuration together.
func (f *settingFlags) load() (*config.Effective, error) {
	if f.file == "" && f.flags.Changed("config") { // as a variable that is not set gives it: the defaults would hold
		return nil, usageError("--config has no file: want --config FILE")
	}
	in := config.Input{File: f.file, Flags: map[string]string{}, Env: os.LookupEnv}
	if in.File == "" {
		in.File = os.Getenv("PERDURE_CONFIG")
	}
	for _, s := range config.Settings() {
		if s.Flag != "" && f.flags.Changed(s.Flag) {
			in.Flags[s.Flag] = f.flags.Lookup(s.Flag).Value.String()
		}
	}
	e, err := config.Load(in)
	if pe, ok := err.(*os.PathError); ok { //nolint:errorlint // of the file itself, not of one that it names
		return nil, &exitError{code: exitInvalid, err: pe, hint: "--config FILE, or unset PERDURE_CONFIG"}
	}
	return e, err
}

func (a *app) serveCommand() *cobra.Command {
	var f settingFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Watch databases, show what can be seen of them, and keep the state of their breakers",
		Long: "serve guards the databases of its configuration until it is told to end. It asks each for a sign of life,\n" +
			"serves metrics, health, breakers and a few changes on the admin listener, keeps an audit trail, and saves\n" +
			"the breakers, so that a restart forgets nothing. The runs that \"perdure run\" keeps in the same state\n" +
			"directory are shown too. A database that is away is no reason to end: serve says that it is not ready, and\n" +
			"waits.\n\n" +
			"Every setting can be given by a flag, a variable or in a file, in this order of precedence:\n" +
			"docs/configuration.md. \"perdure config\" shows what is in force, and why.",
		Example: "  perdure serve --database-url postgres://app@db7/shop\n  perdure serve --config /etc/perdure/perdure.yaml --admin",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := f.load()
			if err != nil {
				return err
			}
			h := newHandler(a.err, e.Log)
			log := slog.New(redact.Handler(h))
			ctx, stop, release := onSignal(cmd.Context(), e.DrainFor+grace, func() {
				log.LogAttrs(cmd.Context(), slog.LevelInfo, "signal: an orderly end, once more ends it at once")
			})
			defer release()
			return a.serve(ctx, e, log, slog.New(h), stop)
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) serve(ctx context.Context, e *config.Effective, log, events *slog.Logger, stop <-chan struct{}) (err error) {
	runs, err := perduredbos.Open(ctx, perduredbos.Config{Dir: filepath.Join(e.StateDir, runsName), Log: engineLog(log)}) // it makes nothing
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	return daemon.Run(ctx, daemon.Config{
		Effective: e, Version: version().Version, Logger: log, Events: events, Stop: stop, Grace: grace, Runs: runs,
		Listening: func(addr net.Addr) {
			log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("url", urlOf(addr)))
		},
	})
}

// newHandler writes to w as configured.
func newHandler(w io.Writer, cfg config.Log) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by package config
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

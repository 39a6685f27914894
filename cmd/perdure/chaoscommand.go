package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/redact"
)

func (a *app) chaosCommand() *cobra.Command {
	var (
		f = serverFlags{}
		c = chaosFlags{level: chaos.Mild}
	)
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break the connections of any program to a database, around COMMIT",
		Long: "chaos listens on a port of this machine, and hands on what comes in to the database: with faults. Connections\n" +
			"are cut before COMMIT, and after it before the reply. The URL for the program to be tested is written to\n" +
			"stderr. With --embedded there is a private server, which is killed too. It ends with SIGINT or SIGTERM, and\n" +
			"says what it broke. The connection to the database must be without TLS.",
		Example: "  perdure chaos --database-url 'postgres://localhost/test?sslmode=disable' --chaos severe\n  perdure chaos --embedded",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.check(); err != nil {
				return err
			}
			if c.level == chaos.Off {
				return usageError("--chaos off breaks nothing: want mild or severe")
			}
			return a.chaos(cmd.Context(), f, c)
		},
	}
	f.addURL(cmd)
	cmd.Flags().BoolVar(&f.embedded, "embedded", false, "before a private PostgreSQL, which is removed at the end")
	c.add(cmd, "mild or severe")
	return cmd
}

func (a *app) chaos(ctx context.Context, f serverFlags, c chaosFlags) (err error) {
	f.named = f.named && !f.embedded
	ctx, stop, release := onSignal(ctx, grace, func() {})
	defer release()
	srv, err := f.open(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	p := place{url: srv.url}
	if srv.cluster != nil {
		p.url = srv.cluster.URL("postgres")
	}
	d, err := c.disturb(ctx, p, srv, [2]string{})
	if err != nil {
		return err
	}
	url, err := d.urlFor(p)
	if err != nil {
		return errors.Join(err, d.calm())
	}
	a.say("%s. Connect to %s", srv.version, redact.DSN(url.Reveal()))
	select {
	case <-stop:
	case <-ctx.Done():
	}
	if err := d.calm(); err != nil {
		return err
	}
	out := chaosReport{Level: c.level, Seed: c.seed, Faults: d.counts()}
	if a.output == "json" {
		return writeJSON(a.out, out)
	}
	_, err = fmt.Fprint(a.out, out.text())
	return err
}

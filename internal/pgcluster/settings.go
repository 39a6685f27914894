package pgcluster

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Set changes a setting of the server with ALTER SYSTEM and reloads, so that the
// next connection has it; settings that need a restart wait for Restart.
func (c *Cluster) Set(ctx context.Context, name, value string) error {
	literal, err := c.literal(ctx, value)
	if err != nil {
		return err
	}
	if _, err := c.ask(ctx, "alter system set "+pgx.Identifier{name}.Sanitize()+" = "+literal); err != nil {
		return err
	}
	return c.Reload(ctx)
}

// Reload makes the server read its configuration again and returns when new
// connections have it.
func (c *Cluster) Reload(ctx context.Context) error {
	before, err := c.ask(ctx, "select clock_timestamp()")
	if err != nil {
		return err
	}
	if _, err := c.ask(ctx, "select pg_reload_conf()"); err != nil {
		return err
	}
	return c.until(ctx, "select pg_conf_load_time() > '"+before+"'")
}

// until asks again and again until the answer is yes.
func (c *Cluster) until(ctx context.Context, question string) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		answer, err := c.ask(ctx, question)
		if err != nil {
			return err
		}
		if answer == "t" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// literal quotes a string as SQL, which needs a connection to know the server's rules.
func (c *Cluster) literal(ctx context.Context, s string) (string, error) {
	conn, err := pgconn.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was changed through it
	quoted, err := conn.EscapeString(s)
	return "'" + quoted + "'", err
}

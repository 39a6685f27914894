package pgcluster

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Port returns the server's TCP port, or zero before the first Start.
func (c *Cluster) Port() int { return int(c.port.Load()) }

// Addr returns the server's address, such as "127.0.0.1:23456".
func (c *Cluster) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port())) }

// URL returns the connection URL of the superuser for a database.
func (c *Cluster) URL(database string) string { return c.UserURL(c.cfg.User, "", database) }

// UserURL returns the connection URL of a user for a database. Loopback connections
// are trusted, except those of users made with AddUser; an empty password is left out.
func (c *Cluster) UserURL(user, password, database string) string {
	who := url.User(user)
	if password != "" {
		who = url.UserPassword(user, password)
	}
	u := url.URL{Scheme: "postgres", User: who, Host: c.Addr(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// AddUser creates a user who has to log in with a password (SCRAM) over TCP.
func (c *Cluster) AddUser(ctx context.Context, name, password string) error {
	quoted := pgx.Identifier{name}.Sanitize()
	literal, err := c.literal(ctx, password)
	if err != nil {
		return err
	}
	if _, err := c.ask(ctx, "create role "+quoted+" login password "+literal); err != nil {
		return err
	}
	rules, err := os.ReadFile(filepath.Join(c.data(), "pg_hba.conf"))
	if err != nil {
		return err
	}
	// The first rule that fits decides.
	if err := c.write("pg_hba.conf", "host all "+quoted+" 127.0.0.1/32 scram-sha-256\n"+string(rules)); err != nil {
		return err
	}
	return c.Reload(ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/perdure/perdure/internal/pgcluster"
)

// serverFlags say which server to work on.
type serverFlags struct {
	url      string
	embedded bool
	// named says that a private server makes no sense: one must be named.
	named bool
}

func (f *serverFlags) add(cmd *cobra.Command) {
	f.addURL(cmd)
	f.named = false
	cmd.Flags().BoolVar(&f.embedded, "embedded", false, "run a private PostgreSQL from the installed server binaries, and remove it afterwards")
}

// addURL is add for commands whose work was begun on a server that stays.
func (f *serverFlags) addURL(cmd *cobra.Command) {
	f.named = true
	cmd.Flags().StringVar(&f.url, "database-url", "", "connection URL or key=value string (default: $DATABASE_URL, else PG*)")
}

// server is where the work is done: a private cluster, or the user's server.
type server struct {
	cluster *pgcluster.Cluster // nil: not ours
	url     string             // of the user's server
	version string
}

// open connects to the server that the flags and the environment name. Without
// any of them, and for the demo unless a flag says otherwise, it starts its own.
func (f serverFlags) open(ctx context.Context, preferEmbedded bool) (*server, error) {
	if f.embedded && f.url != "" {
		return nil, usageError("--embedded and --database-url exclude each other")
	}
	url, named := f.url, f.url != ""
	if !named && !preferEmbedded {
		url = os.Getenv("DATABASE_URL")
		named = url != "" || os.Getenv("PGHOST") != "" || os.Getenv("PGSERVICE") != "" || os.Getenv("PGDATABASE") != ""
	}
	if f.named && !named {
		return nil, &exitError{code: exitUsage, err: errors.New("no database is named"), hint: "--database-url URL, or DATABASE_URL, or PGHOST and its like"}
	}
	if f.embedded || !named {
		return startEmbedded(ctx)
	}
	if _, err := pgx.ParseConfig(url); err != nil {
		// The driver's text has the URL in it, and in that of many a URL with a fault the password.
		return nil, &exitError{
			code: exitUsage, err: errors.New("this is not a connection URL that can be used"),
			hint: "--database-url postgres://user@host:5432/database; special characters in a password as %XX",
		}
	}
	s := &server{url: url}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, &exitError{code: exitUnreachable, hint: connectHint(err), err: err}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only asked for its version
	s.version = "PostgreSQL " + conn.PgConn().ParameterStatus("server_version")
	return s, nil
}

// connectHint returns what to do about a server that did not let us in.
func connectHint(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "28P01", "28000":
			return "check the user, the password (in the URL, PGPASSWORD or ~/.pgpass), and the server's pg_hba.conf"
		case "3D000":
			return "make the database with createdb, or name another one"
		}
		return "the server runs, and says why it does not let perdure in; perdure classify " + e.Code + " says more"
	}
	return "check that the server runs, or let perdure start its own with --embedded"
}

func startEmbedded(ctx context.Context) (*server, error) {
	c, err := pgcluster.New(ctx, pgcluster.Config{Settings: map[string]string{
		"deadlock_timeout": "50ms", // the deadlocks of the chaos would cost a second each
	}})
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &server{cluster: c, version: "PostgreSQL " + c.Version()}, nil
}

// Close ends a private cluster and removes it.
func (s *server) Close() error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Close()
}

// place is where one run keeps its tables: a database of its own on a private
// cluster, a schema of its own on a user's server.
type place struct {
	url    string
	schema string
	fresh  bool   // is dropped when the run is over
	run    string // name of the run that belongs here
}

// place makes a place. On a user's server an existing one of that name is used
// again, unless fresh is set.
func (s *server) place(ctx context.Context, name string, fresh bool) (place, error) {
	if s.cluster != nil {
		p := place{url: s.cluster.URL(name), run: name}
		return p, execute(ctx, s.cluster.URL("postgres"), "create database "+pgx.Identifier{name}.Sanitize())
	}
	p := place{url: s.url, schema: name, fresh: fresh}
	sql := []string{"create schema if not exists " + pgx.Identifier{name}.Sanitize()}
	if fresh {
		sql = append([]string{p.drop()}, sql...)
	}
	if err := execute(ctx, s.url, sql...); err != nil {
		return place{}, err
	}
	conn, err := p.connect(ctx)
	if err != nil {
		return place{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it only read
	// Keys outlive the tables. A schema that was dropped and made again has
	// another oid, so that what was done in the old one is not taken for done.
	var oid uint32
	err = conn.QueryRow(ctx, "select oid from pg_namespace where nspname = $1", name).Scan(&oid)
	p.run = fmt.Sprintf("%s-%d", name, oid)
	return p, err
}

func (p place) drop() string {
	return "drop schema if exists " + pgx.Identifier{p.schema}.Sanitize() + " cascade"
}

// remove drops a fresh schema from a user's server.
func (p place) remove(ctx context.Context) error {
	if !p.fresh {
		return nil
	}
	// Its keys go too: nobody can ask for them again.
	forget := "do $$ begin if to_regclass('perdure.outcome') is not null then " +
		"delete from perdure.outcome where starts_with(key, '" + p.run + "/'); end if; end $$"
	return execute(ctx, p.url, p.drop(), forget)
}

func execute(ctx context.Context, url string, sql ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return &exitError{code: exitUnreachable, err: err}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // each statement has its own result
	for _, q := range sql {
		if _, err := conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// connect opens one plain connection to the place.
func (p place) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := p.pool("")
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, cfg.ConnConfig)
}

// pool returns the configuration of a pool for the place, through the proxy at
// addr unless that is empty.
func (p place) pool(addr string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(p.url)
	if err != nil {
		return nil, err
	}
	if p.schema != "" {
		cfg.ConnConfig.RuntimeParams["search_path"] = p.schema
	}
	cfg.MaxConns = connections
	if addr == "" {
		return cfg, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.Host, cfg.ConnConfig.Port = host, uint16(n)
	cfg.ConnConfig.TLSConfig, cfg.ConnConfig.Fallbacks = nil, nil
	return cfg, nil
}

// proxied returns the address that the fault proxy forwards to.
func (p place) proxied() (string, error) {
	cfg, err := pgx.ParseConfig(p.url)
	if err != nil {
		return "", err
	}
	plain := cfg.TLSConfig == nil
	for _, f := range cfg.Fallbacks {
		plain = plain || f.TLSConfig == nil
	}
	switch {
	case strings.HasPrefix(cfg.Host, "/"):
		return "", usageError("--chaos needs a TCP address: %s is a socket directory", cfg.Host)
	case !plain:
		return "", usageError("--chaos reads the protocol, so it needs a connection without TLS: sslmode=disable")
	}
	return net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))), nil
}

// connections is the most connections of a pool: the workers', and two to spare.
const connections = 10

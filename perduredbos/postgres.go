package perduredbos

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgres keeps runs in a schema of a PostgreSQL, and an advisory lock for each executor that lives,
// on a connection of its own.
type postgres struct {
	url    string
	schema string
	where  string // without a password
	pool   *pgxpool.Pool
}

func openPostgres(ctx context.Context, url, schema string) (*postgres, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database_url: %w", err)
	}
	cfg.MaxConns = 4
	cfg.ConnConfig.RuntimeParams["application_name"] = appName + " runs"
	cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	c := cfg.ConnConfig
	p := &postgres{url: url, schema: schema, where: fmt.Sprintf("postgres://%s@%s:%d/%s, schema %s", c.User, c.Host, c.Port, c.Database, schema)}
	if p.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, p.fault(err)
	}
	return p, nil
}

// there reports whether the tables are. A database that is not there has none.
func (p *postgres) there(ctx context.Context) (bool, error) {
	var found bool
	err := p.pool.QueryRow(ctx, "select to_regclass(format('%I.dbos_migrations', $1::text)) is not null", p.schema).Scan(&found)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "3D000" {
		return false, nil
	}
	return found, p.fault(err)
}

func (p *postgres) create(context.Context) error { return nil } // DBOS makes it with the tables

func (p *postgres) database(context.Context, use) (database, error) {
	return database{url: p.url, schema: p.schema}, nil
}

func (p *postgres) own(ctx context.Context, executor string) (owner, error) {
	o := &session{p: p, key: p.key("owner", executor)}
	if err := o.check(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// alive looks at the lock and does not take it, so that two who ask do not meet.
func (p *postgres) alive(ctx context.Context, executor string) (held bool, err error) {
	key := p.key("owner", executor)
	err = p.pool.QueryRow(ctx, `select exists (select from pg_catalog.pg_locks
where locktype = 'advisory' and objsubid = 1 and granted
and database = (select oid from pg_catalog.pg_database where datname = current_database())
and (classid::bigint << 32) | objid::bigint = $1)`, key).Scan(&held)
	return held, p.fault(err)
}

func (p *postgres) claim(ctx context.Context, run string) (func(), bool, error) {
	c, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, false, p.fault(err)
	}
	release := func() {
		_ = c.Conn().Close(context.WithoutCancel(ctx)) // the lock goes with the connection
		c.Release()
	}
	key := p.key("claim", run)
	ctx, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var got bool
		if err := c.QueryRow(ctx, "select pg_try_advisory_lock($1)", key).Scan(&got); err != nil && ctx.Err() == nil {
			release()
			return nil, false, p.fault(err)
		}
		if got {
			return release, true, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return release, false, nil
		}
	}
}

// key is of an advisory lock, for what and whom, in this schema.
func (p *postgres) key(what, whom string) int64 {
	sum := sha256.Sum256([]byte(appName + "\x00" + p.schema + "\x00" + what + "\x00" + whom))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

func (p *postgres) close() error {
	p.pool.Close()
	return nil
}

// fault names the database and what to try about it.
func (p *postgres) fault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*StateError](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &StateError{Where: p.where, Try: p.try(err), Err: err}
}

func (p *postgres) try(err error) string {
	if outdated(err) {
		return "let one run or resume of this version of perdure bring the schema up to date; one of a newer version needs that version"
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code == "42501":
			return "grant the user the right to create the schema " + p.schema + ", or the rights on it"
		case strings.HasPrefix(e.Code, "28"):
			return "look at the user and the password in the URL"
		case e.Code == "53100":
			return "make room on the server's disk, then resume the run: what was remembered is still there"
		}
		return ""
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return "look whether the server that keeps the runs is up, and whether the URL is right"
	}
	return ""
}

// session is an advisory lock on a connection of its own. When the connection is lost, so is
// the lock, until check takes it again: somebody may then think that this executor is gone and take its run,
// which DBOS tells us with the next record.
type session struct {
	p   *postgres
	key int64

	mu   sync.Mutex // guards conn
	conn *pgx.Conn
}

func (s *session) check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	if s.conn != nil {
		if s.conn.Ping(ctx) == nil {
			return nil
		}
		_ = s.conn.Close(ctx) // it is gone
		s.conn = nil
	}
	c, err := pgx.ConnectConfig(ctx, s.p.connConfig())
	if err != nil {
		return s.p.fault(err)
	}
	if _, err := c.Exec(ctx, "select pg_advisory_lock($1)", s.key); err != nil { // an old backend of ours may have it yet
		return errors.Join(s.p.fault(err), c.Close(ctx))
	}
	s.conn = c
	return nil
}

func (s *session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) //nolint:forbidigo // whoever ran is gone
	defer cancel()
	_ = s.conn.Close(ctx) // the lock goes with the connection
	s.conn = nil
}

func (p *postgres) connConfig() *pgx.ConnConfig { return p.pool.Config().ConnConfig.Copy() }

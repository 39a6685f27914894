package subject

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/perduresql"
	"github.com/perdure/perdure/pgerr"
)

// The operations. Only what changes nothing may be repeated without knowing what became of it.
const (
	opWork  = "matrix.work"
	opWrite = "matrix.write"
	opRead  = "matrix.read"
)

// Guarded is a Subject of ours.
type Guarded interface {
	Subject

	// Manager returns its Manager.
	Manager() *perdure.Manager
}

// commitTimeout is less than the default of 30 s, so that a COMMIT on a dead connection is looked into before the
// caller's deadline.
const commitTimeout = 3 * time.Second

// guardedManager returns a Manager of the documented defaults, but that calls park while the database is away instead of failing, and
// that an attempt is bounded, as it is for all subjects.
func guardedManager() (*perdure.Manager, error) {
	return perdure.New(perdure.Config{
		Name:   "matrix",
		Policy: perdure.Policy{AttemptTimeout: AttemptTimeout, Park: time.Minute},
	})
}

// unknown reports whether an error says that the work may be done: by its Reason, or of a single statement by its
// verdict.
func unknown(err error) bool {
	if errors.Is(err, perdure.ErrOutcomeUnknown) {
		return true
	}
	e, ok := errors.AsType[*perdure.Error](err)
	return ok && e.Verdict.Effect == pgerr.EffectUnknown
}

// ours is what both adapters have in common.
type ours struct{ m *perdure.Manager }

func (o ours) Manager() *perdure.Manager { return o.m }

func (o ours) Unknown(err error) bool { return unknown(err) }

func writing(ctx context.Context) context.Context {
	return perdure.WithOp(ctx, perdure.Op{Name: opWrite})
}

func reading(ctx context.Context) context.Context {
	return perdure.WithOp(ctx, perdure.Op{Name: opRead, ReadOnly: true})
}

// overPgx is perdurepgx.
type overPgx struct {
	ours

	db *perdurepgx.DB
}

func openPgx(ctx context.Context, s Settings) (Subject, error) {
	m, err := guardedManager()
	if err != nil {
		return nil, err
	}
	cfg, err := pgxConfig(s)
	if err != nil {
		return nil, err
	}
	db, err := perdurepgx.Open(ctx, cfg, m, perdurepgx.Config{CommitTimeout: commitTimeout})
	if err != nil {
		return nil, err
	}
	return &overPgx{ours{m}, db}, nil
}

func (o *overPgx) InTx(ctx context.Context, serializable bool, work func(context.Context, Tx) error) error {
	return o.db.InTx(ctx, perdure.Op{Name: opWork}, pgxOptions(serializable), func(ctx context.Context, tx pgx.Tx) error { return work(ctx, pgxTx{tx}) })
}

func (o *overPgx) Exec(ctx context.Context, sql string, args ...any) error {
	_, err := o.db.Exec(writing(ctx), sql, args...)
	return err
}

func (o *overPgx) Int(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = o.db.QueryRow(reading(ctx), sql, args...).Scan(&n)
	return n, err
}

func (o *overPgx) Close(ctx context.Context) error {
	err := o.m.Close(ctx)
	o.db.Close()
	return err
}

// overSQL is perduresql.
type overSQL struct {
	ours

	db *perduresql.DB
}

func openSQL(c driver.Connector) (Subject, error) {
	m, err := guardedManager()
	if err != nil {
		return nil, err
	}
	db, err := perduresql.Open(c, m, perduresql.Config{CommitTimeout: commitTimeout})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(Connections)
	db.SetMaxIdleConns(Connections)
	return &overSQL{ours{m}, db}, nil
}

func openSQLPgx(_ context.Context, s Settings) (Subject, error) {
	cfg, err := pgxpool.ParseConfig(s.URL)
	if err != nil {
		return nil, err
	}
	d := &perduresql.Dialer{DialFunc: s.dialer().DialContext}
	cfg.ConnConfig.DialFunc = d.DialContext
	cfg.ConnConfig.LookupFunc = s.lookup
	if s.Pooler {
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return openSQL(stdlib.GetConnector(*cfg.ConnConfig))
}

func openSQLPq(_ context.Context, s Settings) (Subject, error) {
	c, err := pqConnector(s, s.URL)
	if err != nil {
		return nil, err
	}
	c.Dialer(&perduresql.Dialer{DialFunc: s.dialer().DialContext})
	return openSQL(c)
}

func (o *overSQL) InTx(ctx context.Context, serializable bool, work func(context.Context, Tx) error) error {
	return o.db.InTx(ctx, perdure.Op{Name: opWork}, sqlOptions(serializable), func(ctx context.Context, tx *sql.Tx) error { return work(ctx, sqlTx{tx}) })
}

func (o *overSQL) Exec(ctx context.Context, query string, args ...any) error {
	_, err := o.db.ExecContext(writing(ctx), query, args...)
	return err
}

func (o *overSQL) Int(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = o.db.QueryRowContext(reading(ctx), query, args...).Scan(&n)
	return n, err
}

func (o *overSQL) Close(ctx context.Context) error {
	return errors.Join(o.m.Close(ctx), o.db.Close())
}

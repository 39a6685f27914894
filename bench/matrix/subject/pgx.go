package subject

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgxConfig is that of every pool of pgx: its defaults, but for the size. Behind a pooler statements are not prepared,
// as the comment on pgx.QueryExecModeExec advises.
func pgxConfig(s Settings) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(s.URL)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = Connections
	cfg.ConnConfig.DialFunc = s.dialer().DialContext
	cfg.ConnConfig.LookupFunc = s.lookup
	if s.Pooler {
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return cfg, nil
}

// plainPgx is pgxpool 5.12 with pgx.BeginFunc, as the documentation of pgx shows transactions. It repeats nothing,
// and so one attempt is all that a call may take.
type plainPgx struct{ pool *pgxpool.Pool }

func openPlainPgx(ctx context.Context, s Settings) (Subject, error) { return newPlainPgx(ctx, s) }

func newPlainPgx(ctx context.Context, s Settings) (*plainPgx, error) {
	cfg, err := pgxConfig(s)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &plainPgx{pool}, nil
}

func pgxOptions(serializable bool) pgx.TxOptions {
	if serializable {
		return pgx.TxOptions{IsoLevel: pgx.Serializable}
	}
	return pgx.TxOptions{}
}

func (p *plainPgx) InTx(ctx context.Context, serializable bool, work func(context.Context, Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	return pgx.BeginTxFunc(ctx, p.pool, pgxOptions(serializable), func(tx pgx.Tx) error { return work(ctx, pgxTx{tx}) })
}

func (p *plainPgx) Exec(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	_, err := p.pool.Exec(ctx, sql, args...)
	return err
}

func (p *plainPgx) Int(ctx context.Context, sql string, args ...any) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	err = p.pool.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

// Unknown is false: an error of pgx does not say that the work may be done.
func (p *plainPgx) Unknown(error) bool { return false }

func (p *plainPgx) Close(context.Context) error {
	p.pool.Close()
	return nil
}

// pgxTx is a transaction of pgx.
type pgxTx struct {
	tx interface {
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	}
}

func (t pgxTx) Exec(ctx context.Context, sql string, args ...any) error {
	_, err := t.tx.Exec(ctx, sql, args...)
	return err
}

func (t pgxTx) Int(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = t.tx.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

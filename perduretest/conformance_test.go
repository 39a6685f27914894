package perduretest_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/perduresql"
	"github.com/perdure/perdure/perduretest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

func TestPgx(t *testing.T) {
	t.Parallel()
	perduretest.Conformance(t, perduretest.Setup{New: overPgx})
}

func TestSQLOverPgx(t *testing.T) {
	t.Parallel()
	perduretest.Conformance(t, perduretest.Setup{New: overSQL(func(url string, d *perduresql.Dialer) (driver.Connector, error) {
		c, err := pgx.ParseConfig(url)
		if err != nil {
			return nil, err
		}
		c.DialFunc = d.DialContext
		return stdlib.GetConnector(*c), nil
	})})
}

func TestSQLOverPq(t *testing.T) {
	t.Parallel()
	perduretest.Conformance(t, perduretest.Setup{New: overSQL(func(url string, d *perduresql.Dialer) (driver.Connector, error) {
		c, err := pq.NewConnector(url)
		if err == nil {
			c.Dialer(d)
		}
		return c, err
	})})
}

func TestSQLWithoutAWitness(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(url string, d *perduresql.Dialer) (driver.Connector, error){
		"pgx": func(url string, _ *perduresql.Dialer) (driver.Connector, error) {
			c, err := pgx.ParseConfig(url)
			if err != nil {
				return nil, err
			}
			return stdlib.GetConnector(*c), nil
		},
		"pq": func(url string, _ *perduresql.Dialer) (driver.Connector, error) { return pq.NewConnector(url) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			perduretest.Conformance(t, perduretest.Setup{New: overSQL(connect)})
		})
	}
}

type pgxTx struct{ pgx.Tx }

func (t pgxTx) Exec(ctx context.Context, query string) error {
	_, err := t.Tx.Exec(ctx, query)
	return err
}

func (t pgxTx) Int(ctx context.Context, query string) (n int64, err error) {
	err = t.QueryRow(ctx, query).Scan(&n)
	return n, err
}

func overPgx(tb testing.TB, url string, m *perdure.Manager) perduretest.Subject {
	tb.Helper()
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	db, err := perdurepgx.Open(tb.Context(), pool, m, perdurepgx.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return perduretest.Subject{
		Exec: func(ctx context.Context, query string) error { _, err := db.Exec(ctx, query); return err },
		Int: func(ctx context.Context, query string) (n int64, err error) {
			err = db.QueryRow(ctx, query).Scan(&n)
			return n, err
		},
		InTx: func(ctx context.Context, op perdure.Op, fn func(context.Context, perduretest.Tx) error) error {
			return db.InTx(ctx, op, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, pgxTx{tx}) })
		},
		Once: func(ctx context.Context, op perdure.Op, key string, fn func(context.Context, perduretest.Tx) (int64, error)) (int64, error) {
			return perdurepgx.Once(ctx, db, op, key, func(ctx context.Context, tx pgx.Tx) (int64, error) { return fn(ctx, pgxTx{tx}) })
		},
		Migrate: db.Migrate, Close: db.Close,
	}
}

type sqlTx struct{ *sql.Tx }

func (t sqlTx) Exec(ctx context.Context, query string) error {
	_, err := t.ExecContext(ctx, query)
	return err
}

func (t sqlTx) Int(ctx context.Context, query string) (n int64, err error) {
	err = t.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

func overSQL(connect func(url string, d *perduresql.Dialer) (driver.Connector, error)) func(testing.TB, string, *perdure.Manager) perduretest.Subject {
	return func(tb testing.TB, url string, m *perdure.Manager) perduretest.Subject {
		tb.Helper()
		c, err := connect(url, &perduresql.Dialer{})
		if err != nil {
			tb.Fatal(err)
		}
		db, err := perduresql.Open(c, m, perduresql.Config{})
		if err != nil {
			tb.Fatal(err)
		}
		return perduretest.Subject{
			Exec: func(ctx context.Context, query string) error { _, err := db.ExecContext(ctx, query); return err },
			Int: func(ctx context.Context, query string) (n int64, err error) {
				err = db.QueryRowContext(ctx, query).Scan(&n)
				return n, err
			},
			InTx: func(ctx context.Context, op perdure.Op, fn func(context.Context, perduretest.Tx) error) error {
				return db.InTx(ctx, op, nil, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, sqlTx{tx}) })
			},
			Once: func(ctx context.Context, op perdure.Op, key string, fn func(context.Context, perduretest.Tx) (int64, error)) (int64, error) {
				return perduresql.Once(ctx, db, op, key, func(ctx context.Context, tx *sql.Tx) (int64, error) { return fn(ctx, sqlTx{tx}) })
			},
			Migrate: db.Migrate,
			Close: func() {
				if err := db.Close(); err != nil {
					tb.Errorf("closing: %v", err)
				}
			},
		}
	}
}

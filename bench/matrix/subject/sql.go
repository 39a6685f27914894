package subject

import (
	"context"
	"database/sql"

	"github.com/lib/pq"
)

// plainSQL is database/sql with transactions by hand, as https://go.dev/doc/database/execute-transactions
// shows them. What is repeated, database/sql repeats by itself.
type plainSQL struct{ db *sql.DB }

// openPlainPq is lib/pq 1.12.3 with a connect_timeout, without which it waits for ever for a server that says nothing
// (its documentation, "Connection String Parameters").
func openPlainPq(_ context.Context, s Settings) (Subject, error) {
	u, err := withParameter(s.URL, "connect_timeout", "2")
	if err != nil {
		return nil, err
	}
	c, err := pqConnector(s, u)
	if err != nil {
		return nil, err
	}
	c.Dialer(&pqDialer{s.dialer()})
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(Connections)
	db.SetMaxIdleConns(Connections)
	return &plainSQL{db}, nil
}

// pqConnector makes a connector of lib/pq. Behind a pooler statements and arguments go in one message, as its
// documentation of binary_parameters advises.
func pqConnector(s Settings, url string) (*pq.Connector, error) {
	if s.Pooler {
		u, err := withParameter(url, "binary_parameters", "yes")
		if err != nil {
			return nil, err
		}
		url = u
	}
	return pq.NewConnector(url)
}

func sqlOptions(serializable bool) *sql.TxOptions {
	if serializable {
		return &sql.TxOptions{Isolation: sql.LevelSerializable}
	}
	return nil
}

func (p *plainSQL) InTx(ctx context.Context, serializable bool, work func(context.Context, Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	tx, err := p.db.BeginTx(ctx, sqlOptions(serializable))
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // as the documentation shows it: after Commit it does nothing
	if err := work(ctx, sqlTx{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

func (p *plainSQL) Exec(ctx context.Context, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	_, err := p.db.ExecContext(ctx, query, args...)
	return err
}

func (p *plainSQL) Int(ctx context.Context, query string, args ...any) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	err = p.db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// Unknown is false: an error of database/sql does not say that the work may be done.
func (p *plainSQL) Unknown(error) bool { return false }

func (p *plainSQL) Close(context.Context) error { return p.db.Close() }

// sqlTx is a transaction of database/sql.
type sqlTx struct {
	tx interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
}

func (t sqlTx) Exec(ctx context.Context, query string, args ...any) error {
	_, err := t.tx.ExecContext(ctx, query, args...)
	return err
}

func (t sqlTx) Int(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = t.tx.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

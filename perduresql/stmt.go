package perduresql

import (
	"context"
	"database/sql/driver"
)

// stmt is a statement that is prepared on each connection that it is run on.
type stmt struct {
	c      *conn
	query  string
	inputs int
}

var (
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

// prepare prepares query, or finds it prepared, and returns how many arguments it takes.
func (l *link) prepare(ctx context.Context, query string) (int, error) {
	return do(l, ctx, cancelWait, func() (int, error) {
		st, err := l.stmts.get(ctx, l.dc, query)
		if err != nil {
			return 0, err
		}
		return st.NumInput(), nil
	})
}

// Close does nothing: connections forget the statements that were not used for
// the longest time.
func (s *stmt) Close() error { return nil }

// NumInput returns how many arguments the statement takes.
func (s *stmt) NumInput() int { return s.inputs }

// Exec is database/sql's old way; it uses ExecContext.
func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return nil, errOldWay }

// Query is database/sql's old way; it uses QueryContext.
func (s *stmt) Query([]driver.Value) (driver.Rows, error) { return nil, errOldWay }

// ExecContext runs the statement.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.exec(ctx, s.query, args, true)
}

// QueryContext runs the query.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.query(ctx, s.query, args, true)
}

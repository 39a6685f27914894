package perduresql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// exec runs a statement on the driver's connection.
func (l *link) exec(ctx context.Context, query string, args []driver.NamedValue, prepared bool) (driver.Result, error) {
	var direct func(context.Context, string, []driver.NamedValue) (driver.Result, error)
	if x, ok := l.dc.(driver.ExecerContext); ok && !prepared {
		direct = x.ExecContext
	}
	return run(ctx, l, query, args, direct, func(st driver.Stmt, values []driver.NamedValue) (driver.Result, error) {
		if x, ok := st.(driver.StmtExecContext); ok {
			return x.ExecContext(ctx, values)
		}
		return nil, errOldDriver
	})
}

// query begins a query on the driver's connection.
func (l *link) query(ctx context.Context, query string, args []driver.NamedValue, prepared bool) (driver.Rows, error) {
	var direct func(context.Context, string, []driver.NamedValue) (driver.Rows, error)
	if x, ok := l.dc.(driver.QueryerContext); ok && !prepared {
		direct = x.QueryContext
	}
	return run(ctx, l, query, args, direct, func(st driver.Stmt, values []driver.NamedValue) (driver.Rows, error) {
		if x, ok := st.(driver.StmtQueryContext); ok {
			return x.QueryContext(ctx, values)
		}
		return nil, errOldDriver
	})
}

var errOldDriver = errors.New("perduresql: the driver has no StmtExecContext and StmtQueryContext")

// run runs query directly, if that is asked for and the driver does not skip
// it, else as a prepared statement.
func run[T any](ctx context.Context, l *link, query string, args []driver.NamedValue,
	direct func(context.Context, string, []driver.NamedValue) (T, error), stmt func(driver.Stmt, []driver.NamedValue) (T, error),
) (T, error) {
	return do(l, ctx, cancelWait, func() (none T, err error) {
		if direct != nil {
			values, err := l.check(nil, args)
			if err != nil {
				return none, err
			}
			if r, err := direct(ctx, query, values); !errors.Is(err, driver.ErrSkip) {
				return r, err
			}
		}
		st, err := l.stmts.get(ctx, l.dc, query)
		if err != nil {
			return none, err
		}
		values, err := l.check(st, args)
		if err != nil {
			return none, err
		}
		r, err := stmt(st, values)
		return r, l.stmts.failed(l.w, query, err)
	})
}

// check turns arguments into what the driver takes. They are copied: another
// attempt may run on another connection.
func (l *link) check(st driver.Stmt, args []driver.NamedValue) ([]driver.NamedValue, error) {
	if len(args) == 0 {
		return nil, nil
	}
	var check func(*driver.NamedValue) error
	if c, ok := st.(driver.NamedValueChecker); ok {
		check = c.CheckNamedValue
	} else if c, ok := l.dc.(driver.NamedValueChecker); ok {
		check = c.CheckNamedValue
	}
	out := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		err := driver.ErrSkip
		if check != nil {
			err = check(&arg)
		}
		if errors.Is(err, driver.ErrSkip) {
			arg.Value, err = driver.DefaultParameterConverter.ConvertValue(arg.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		out[i] = arg
	}
	return out, nil
}

// run runs sql, one or more statements without arguments, in one round trip. It
// has limit, and heeds no context besides: for statements of perdure's own whose
// end somebody has to wait for.
func (l *link) run(ctx context.Context, limit time.Duration, sql string) error {
	own := context.WithoutCancel(ctx)
	bound, cancel := context.WithTimeout(own, limit)
	defer cancel()
	_, err := do(l, bound, 0, func() (driver.Result, error) { return l.execNow(own, sql) })
	return err
}

func (l *link) execNow(ctx context.Context, sql string) (driver.Result, error) {
	x, ok := l.dc.(driver.ExecerContext)
	if !ok {
		return nil, errNoExecer
	}
	return x.ExecContext(ctx, sql, nil)
}

var errNoExecer = errors.New("perduresql: the driver has no ExecerContext and QueryerContext")

// ask runs sql within limit, or until ctx ends, and returns the rows of its first
// statement as text. Arguments make the text the same each time, which drivers
// that prepare every query like better.
func (l *link) ask(ctx context.Context, limit time.Duration, sql string, args ...string) ([][]string, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(l, ctx, 0, func() ([][]string, error) {
		x, ok := l.dc.(driver.QueryerContext)
		if !ok {
			return nil, errNoExecer
		}
		r, err := x.QueryContext(ctx, sql, named)
		if err != nil {
			return nil, err
		}
		rows, err := texts(r)
		return rows, errors.Join(err, r.Close())
	})
}

// all runs sql, several statements, within limit, or until ctx ends, and returns
// the rows of all of them, which the driver does not give: the witness reads
// along. It reports false, and does nothing, where there is none.
func (l *link) all(ctx context.Context, limit time.Duration, sql string) (rows [][]string, ok bool, err error) {
	if l.w == nil || !l.w.capture() {
		return nil, false, nil
	}
	err = l.tell(ctx, limit, sql)
	return l.w.captured(), true, err
}

// tell runs sql within limit, or until ctx ends.
func (l *link) tell(ctx context.Context, limit time.Duration, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := do(l, ctx, 0, func() (driver.Result, error) { return l.execNow(ctx, sql) })
	return err
}

func texts(r driver.Rows) ([][]string, error) {
	var rows [][]string
	for {
		values := make([]driver.Value, len(r.Columns()))
		err := r.Next(values)
		if err == io.EOF { //nolint:errorlint // the driver's contract
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = text(v)
		}
		rows = append(rows, row)
	}
}

// text returns a value as the server writes it, as far as perdure's own queries
// need; NULL is "".
func text(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		if v {
			return "t"
		}
		return "f"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// literal quotes s, whatever standard_conforming_strings says.
func literal(s string) string {
	b := make([]byte, 0, len(s)+3)
	b = append(b, 'E', '\'')
	for i := range len(s) {
		if s[i] == '\'' || s[i] == '\\' {
			b = append(b, s[i])
		}
		b = append(b, s[i])
	}
	return string(append(b, '\''))
}

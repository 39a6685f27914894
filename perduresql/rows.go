package perduresql

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"

	"github.com/perdure/perdure/internal/adapter"
)

// ahead is how many rows are asked for before a query has succeeded: with the
// second, or the end in its place, the one row of a QueryRow is known to be all,
// and its statement done.
const ahead = 2

// rows are the driver's, of which the first have been asked for already. They
// live only until they are read, and so hold a context.
type rows struct {
	driver.Rows

	l     *link
	ctx   context.Context //nolint:containedctx // see the doc comment
	end   func()          // of ctx
	first [][]driver.Value
	eof   bool // nothing comes after first
}

// rows begins a query and asks for its first rows.
func (l *link) rows(caller, attempt context.Context, query string, args []driver.NamedValue, prepared bool) (*rows, error) {
	own, keep, end := adapter.Outliving(caller, attempt)
	r, err := l.query(own, query, args, prepared)
	if err != nil {
		end()
		return nil, err
	}
	out := &rows{Rows: r, l: l, ctx: own, end: end}
	for range ahead {
		row := make([]driver.Value, len(r.Columns()))
		err := out.next(row)
		if err == io.EOF { //nolint:errorlint // the driver's contract
			out.eof = true
			break
		}
		if err != nil {
			_ = r.Close()
			end()
			return nil, err
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				row[i] = bytes.Clone(b) // the driver may use its buffer again
			}
		}
		out.first = append(out.first, row)
	}
	keep()
	return out, nil
}

func (r *rows) next(dest []driver.Value) error {
	_, err := do(r.l, r.ctx, cancelWait, func() (struct{}, error) {
		err := r.Rows.Next(dest)
		if err == io.EOF { //nolint:errorlint // the driver's contract
			return struct{}{}, errEnd
		}
		return struct{}{}, err
	})
	if err == errEnd { //nolint:errorlint // it was just made
		return io.EOF
	}
	return err
}

// errEnd stands for io.EOF of a result, which is no end of the connection.
var errEnd = errors.New("end of the result")

// Next hands out the next row. An error of it is the server's or the network's
// own; the statement is not repeated any more.
func (r *rows) Next(dest []driver.Value) error {
	if len(r.first) > 0 {
		copy(dest, r.first[0])
		r.first = r.first[1:]
		return nil
	}
	if r.eof {
		return io.EOF
	}
	if err := r.next(dest); err != nil {
		if err == io.EOF { //nolint:errorlint // the driver's contract
			_, err = r.l.done()
			if err == nil {
				err = io.EOF
			}
			return err
		}
		return r.l.hide(r.ctx, err)
	}
	return nil
}

// Close ends the result.
func (r *rows) Close() error {
	defer r.end()
	_, err := do(r.l, r.ctx, cancelWait, func() (struct{}, error) { return struct{}{}, r.Rows.Close() })
	return r.l.hide(r.ctx, err)
}

// asDriver returns r with the methods that the driver's rows have besides.
func (r *rows) asDriver() driver.Rows {
	if next, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return &sets{rows: r, next: next}
	}
	return r
}

// sets are rows with more than one result.
type sets struct {
	*rows

	next driver.RowsNextResultSet
}

// HasNextResultSet reports whether there is another result.
func (s *sets) HasNextResultSet() bool { return s.next.HasNextResultSet() }

// NextResultSet goes on to the next result.
func (s *sets) NextResultSet() error {
	s.first, s.eof = nil, false
	err := s.next.NextResultSet()
	if err == nil || err == io.EOF { //nolint:errorlint // the driver's contract
		return err
	}
	return s.l.hide(s.ctx, err)
}

// ColumnTypeDatabaseTypeName returns the driver's name for a column's type, or "".
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return t.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength returns what the driver does.
func (r *rows) ColumnTypeLength(i int) (length int64, ok bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return t.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable returns what the driver does.
func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return t.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale returns what the driver does.
func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if t, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return t.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}

// ColumnTypeScanType returns what the driver does.
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	if t, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return t.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

package perdurepgx

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/sqlname"
)

// Rewinder is a source of a COPY that can start over. CopyFrom repeats a COPY
// only from such a source, or from one that nothing was taken from.
type Rewinder interface {
	// Rewind makes the source begin again with its first row.
	Rewind() error
}

// CopyFrom copies rows as pgx does, guarded as [DB.Exec] is. An attempt consumes
// its source, so that a second one would copy what is left, perhaps nothing,
// and succeed: it is made only if src is a [Rewinder], or was not touched.
func (db *DB) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	op, ok := perdure.OpFrom(ctx)
	if !ok {
		op = sqlname.Derived("copy." + strings.Join(table, "."))
	}
	watched := &watchedSource{CopyFromSource: src}
	rewinder, canRewind := src.(Rewinder)
	var n int64
	err := db.m.Guarded(ctx, op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		if watched.touched {
			if err := rewinder.Rewind(); err != nil {
				return adapter.Never("the source could not start over"), err
			}
			watched.touched = false
		}
		conn, w, j, err := db.acquire(ctx, &op)
		if err != nil {
			return j, err
		}
		defer conn.Release()
		before := w.app.Load()
		if n, err = conn.Conn().CopyFrom(ctx, table, columns, watched); err == nil {
			if j, err = w.done(); err != nil && !canRewind {
				j.Repeat, j.Hint = perdure.RepeatNever, hintConsumed
			}
			return j, err
		}
		if own := src.Err(); own != nil {
			return adapter.Never(""), err // the source's own fault, which pgx reports as an answer of the server
		}
		j, err = db.judge(ctx, conn.Conn(), w, w.app.Load() == before, true, err)
		if watched.touched && !canRewind {
			j.Repeat = perdure.RepeatNever
			j.Hint = hintConsumed
		}
		return j, err
	})
	return n, err
}

const hintConsumed = "the rows of the source are consumed: give it a Rewind method"

// watchedSource notes whether anything was taken from a source.
type watchedSource struct {
	pgx.CopyFromSource

	touched bool
}

func (s *watchedSource) Next() bool {
	s.touched = true
	return s.CopyFromSource.Next()
}

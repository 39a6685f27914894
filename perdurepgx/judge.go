package perdurepgx

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/pgerr"
)

// verdict returns what err means, see adapter.Verdict.
func (db *DB) verdict(err error) pgerr.Verdict {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return adapter.Verdict(db.m, err, pgerr.Fields{}, false)
	}
	return adapter.Verdict(db.m, err, pgerr.Fields{SQLState: e.Code, Severity: severity(e), Routine: e.Routine, Message: e.Message}, true)
}

func severity(e *pgconn.PgError) string { return e.SeverityUnlocalized }

func isNotice(e *pgconn.PgError) bool { return adapter.IsNotice(severity(e)) }

// refused reports whether e is the server's plain no: the statement or the
// transaction is rolled back and the session lives on. An unlocalised severity
// is there since PostgreSQL 9.6; without it nothing is proven.
func refused(e *pgconn.PgError) bool { return e != nil && severity(e) == "ERROR" }

// lost judges an error on a connection that broke, or whose reply never came.
func (db *DB) lost(ctx context.Context, w *wire, err error) (pgerr.Verdict, error) {
	err = adapter.WithCause(ctx, w.explain(err))
	v := db.verdict(err)
	switch {
	case errors.Is(err, outcome.ErrUnreplicated):
		v = adapter.UnreplicatedVerdict()
	case v.Category == pgerr.CategoryUnknown && errors.Is(err, pgconn.ErrConnClosed):
		v = adapter.LostVerdict()
	}
	return v, err
}

// answerOf returns the SQLSTATE of an answer of the server, and whether it was a plain no.
func answerOf(err error) (state string, refusal bool) {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return "", false
	}
	return e.Code, refused(e)
}

package perdurepgx

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/outcome"
)

// What perdure sends with every transaction is prepared on each direct
// connection: the server then neither parses nor plans it again. SQL's own
// EXECUTE keeps it in one message with BEGIN or COMMIT.
const (
	xidStatement  = "perdure_xid"
	markStatement = "perdure_mark"
)

// preparation is a set of statements that are prepared on a connection.
type preparation uint8

const (
	xidPrepared preparation = 1 << iota
	markPrepared
)

// prepared reports whether all of p can be used. Somebody may have sent DISCARD
// ALL or the like meanwhile, and will again: the connection then does without.
func (w *wire) prepared(p preparation) bool {
	if w.ready != 0 && w.tags.discards.Load() != 0 {
		w.ready, w.plain = 0, true
	}
	return w.ready&p == p
}

// prepare prepares what the outcomes of w's connection need.
func (db *DB) prepare(ctx context.Context, pc *pgconn.PgConn, w *wire, f *facts) error {
	want := preparation(0)
	switch {
	case !f.direct, f.recovery, w.plain:
		return nil // the next statement may meet another session
	case db.methodFor(f) == Token:
		want = xidPrepared
	case f.insert:
		want = markPrepared
	}
	sql := ""
	if want&xidPrepared&^w.ready != 0 {
		sql += "prepare " + xidStatement + " as " + outcome.XIDSQL
	}
	if want&markPrepared&^w.ready != 0 {
		sql += "prepare " + markStatement + " (uuid) as " + outcome.MarkSQL
	}
	if sql == "" {
		return nil
	}
	if _, _, err := simple(ctx, pc, sql); err != nil {
		if _, no := answerOf(err); no && !pc.IsClosed() {
			w.plain = true // somebody has taken the name: there is another way
			return nil
		}
		return err
	}
	w.ready |= want
	return nil
}

// marks reports whether the transaction of a may write its marker by itself: a
// plain INSERT costs a third of what the function does, which knows more cases.
// A repeat leaves it to the function: the INSERT may be what failed.
func (a *attempt) marks() bool {
	return a.n == 1 && a.w.prepared(markPrepared) && a.w.known != nil && a.w.known.direct && a.w.known.insert &&
		a.pc.ParameterStatus("default_transaction_read_only") == "off" &&
		a.w.tags.sets.Load() == a.tags.sets
}

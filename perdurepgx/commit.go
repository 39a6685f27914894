package perdurepgx

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/pgerr"
)

// readOnly reports whether nothing of the transaction can be lost.
func (a *attempt) readOnly() bool { return a.opts.AccessMode == pgx.ReadOnly }

// beginSQL is BEGIN, and what must be known of the transaction, in one string:
// the simple protocol runs it in one round trip, through any pooler.
func (a *attempt) beginSQL(known *facts) (string, error) {
	begin := beginText(a.opts)
	switch {
	case a.once != nil:
		if !known.marker {
			return "", errNoMarker
		}
		a.doubt.ID = outcome.NewUUID()
		sql, err := a.once.beginSQL(a.pc, a.doubt.ID, a.db.cfg.TwinTimeout)
		return begin + "; " + sql, err
	case a.readOnly():
		return begin, nil
	case a.method == Marker:
		if !known.marker {
			return "", errNoMarker
		}
		if a.doubt.ID == (outcome.UUID{}) { // a BEGIN that waited has one, and h.Tx commits with it
			a.doubt.ID = outcome.NewUUID()
		}
		if known.direct {
			return begin, nil
		}
		return begin + "; select pg_backend_pid(), extract(epoch from now())", nil
	case known.direct && !known.recovery && a.w.prepared(xidPrepared):
		return begin + "; execute " + xidStatement, nil
	case known.direct && !known.recovery:
		return begin + "; " + outcome.XIDSQL, nil
	default:
		// Behind a pooler the server may be another each time.
		return begin + "; select pg_current_xact_id(), " + outcome.IncarnationSQL(major(a.pc)), nil
	}
}

var errNoMarker = errors.New("perdurepgx: table perdure.outcome is not there, or may not be used: call Migrate once, as the owner of the schema")

// begun takes what came with BEGIN.
func (a *attempt) begun(known *facts, rows [][]string) error {
	switch {
	case known == nil:
		return nil
	case a.once != nil:
		a.doubt.In = known.inc
		return a.once.begun(&a.doubt, rows)
	case a.method == Marker:
		if len(rows) == 1 && len(rows[0]) == 2 {
			a.doubt.Backend = outcome.Backend{PID: rows[0][0], Began: rows[0][1], InTx: true}
		}
		return nil
	case len(rows) != 1:
		return errors.New("perdurepgx: BEGIN did not answer with the transaction's xid")
	}
	a.doubt.In = known.inc
	if len(rows[0]) == 1+outcome.IncarnationColumns {
		a.doubt.In = outcome.IncarnationOf(rows[0][1:])
	}
	xid, err := strconv.ParseUint(rows[0][0], 10, 64)
	a.doubt.XID = xid
	return err
}

// commitSQL is the COMMIT of the attempt, with the marker before it. If the
// marker fails, the server skips the COMMIT. A forced marker is written even if
// the transaction has no xid.
func (a *attempt) commitSQL() string {
	commit := a.opts.CommitQuery
	if commit == "" {
		commit = "commit"
	}
	switch {
	case a.once != nil || a.method != Marker || a.readOnly():
		return commit
	case a.h != nil && a.h.notifies:
		return "select perdure.mark('" + a.doubt.ID.String() + "', true); " + commit
	case a.marks():
		return "execute " + markStatement + "('" + a.doubt.ID.String() + "'); " + commit
	default:
		return "select perdure.mark('" + a.doubt.ID.String() + "'); " + commit
	}
}

// commit sends COMMIT, once, and judges what came of it.
func (a *attempt) commit(ctx context.Context) (perdure.Judgement, error) {
	tx := a.h.Tx
	if sql := a.commitSQL(); sql != a.sql {
		tx = open(ctx, a.conn.Conn(), sql) // by what the function did, the marker is written in another way
	}
	if a.once != nil {
		sql, err := a.once.commitSQL(a.pc, a.doubt.ID)
		if err != nil {
			a.rollback(ctx)
			return adapter.Never(""), err
		}
		tx = open(ctx, a.conn.Conn(), sql)
	}
	// From here on the outcome is open: closing the Manager waits for it.
	if end, err := a.db.m.BeginOutcome(); err == nil {
		a.settled = end
	}
	err := a.send(ctx, tx)
	a.h.done = true
	switch {
	case a.w.takeUnreplicated():
		// As good as no reply: the resolver waits for the standbys.
		a.doubt.Err = outcome.ErrUnreplicated
		return perdure.Judgement{}, outcome.ErrUnreplicated
	case err == nil:
		return perdure.Judgement{}, nil
	}
	return a.answered(ctx, err)
}

// send sends COMMIT under a deadline of our own, and notes whether any of it
// was written.
func (a *attempt) send(ctx context.Context, tx pgx.Tx) error {
	w := a.w
	w.lastErr = nil
	w.committing.Store(true)
	before := w.app.Load()
	w.bound(a.db.cfg.CommitTimeout)
	defer w.unbound()
	a.doubt.Sent = time.Now()
	err := tx.Commit(context.WithoutCancel(ctx))
	a.doubt.Written = w.app.Load() - before
	if err == nil || !a.pc.IsClosed() {
		w.committing.Store(false)
	}
	return err
}

// answered judges an error from COMMIT. One thing proves that it happened, four
// prove that it is rolled back; all else is a doubt.
func (a *attempt) answered(ctx context.Context, err error) (perdure.Judgement, error) {
	switch {
	case a.w.tags.now().commits != a.tags.commits:
		return perdure.Judgement{}, nil // the reply had arrived; what failed came after it
	case errors.Is(err, pgx.ErrTxCommitRollback):
		if a.w.txErr != nil {
			err = &abortedError{err: a.w.txErr}
		}
		return adapter.Safe(a.db.verdict(err)), err
	case refused(a.w.lastErr) && outcome.Unproven(a.w.lastErr.Code):
		return outcome.Foreign(ctx, a.db.m, a.op.Name, a.key(), a.method.String(), a.db.verdict(a.w.lastErr), err)
	case refused(a.w.lastErr):
		if a.method == Marker && a.pc.TxStatus() == 'E' {
			return a.markFailed()
		}
		return adapter.Safe(a.db.verdict(a.w.lastErr)), err
	case a.doubt.Written == 0:
		v, err := a.db.lost(ctx, a.w, err)
		if !errors.Is(err, pgconn.ErrConnClosed) && v.Category == pgerr.CategoryUnknown {
			return adapter.Never(""), err // "conn busy": the function's own fault
		}
		return adapter.Safe(v), err
	case a.readOnly():
		v, err := a.db.lost(ctx, a.w, err)
		return adapter.Safe(v), err
	}
	a.doubt.Err = err
	return perdure.Judgement{}, err
}

// resolve finds out what became of the attempt's COMMIT. It outlives ctx.
func (a *attempt) resolve(ctx context.Context) (perdure.Judgement, error) {
	db := a.db
	db.m.Suspect("the reply to a commit was lost")
	v, err := db.lost(ctx, a.w, a.doubt.Err)
	q := &outcome.Question{Doubt: a.doubt, Marker: a.once != nil || a.method == Marker}
	return db.resolver.Settle(ctx, db.m, q, a.op.Name, a.key(), v, err)
}

// key is that of a Once, or "".
func (a *attempt) key() string {
	if a.once == nil {
		return ""
	}
	return a.once.key
}

// markFailed judges a marker that was refused, and with it the transaction.
// Under Auto the next attempt asks again whether the table can be used.
func (a *attempt) markFailed() (perdure.Judgement, error) {
	err := error(a.w.lastErr)
	v := a.db.verdict(err)
	j := adapter.Safe(v)
	if a.once != nil {
		err = fmt.Errorf("result of %s: %w", a.once.key, err)
	}
	if a.once == nil && a.marks() {
		// What the plain INSERT cannot do, the function may.
		j.Verdict.Retry = pgerr.RetryTransaction
	}
	if isMissing(err) {
		a.db.relearn()
		j.Hint = outcome.HintMigrate
		if a.db.cfg.Outcome == Auto && a.once == nil {
			j.Verdict.Retry = pgerr.RetryTransaction
		}
	}
	return j, err
}

// isMissing reports whether err says that perdure's schema is not there or may
// not be used.
func isMissing(err error) bool {
	state, _ := answerOf(err)
	return outcome.IsMissing(state) || errors.Is(err, errNoMarker)
}

// beginText renders BEGIN with its options.
func beginText(o pgx.TxOptions) string {
	if o.BeginQuery != "" {
		return o.BeginQuery
	}
	if o == (pgx.TxOptions{}) {
		return "begin"
	}
	s := "begin"
	if o.IsoLevel != "" {
		s += " isolation level " + string(o.IsoLevel)
	}
	if o.AccessMode != "" {
		s += " " + string(o.AccessMode)
	}
	if o.DeferrableMode != "" {
		s += " " + string(o.DeferrableMode)
	}
	return s
}

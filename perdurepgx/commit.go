package perdurepgx

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
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
		a.doubt.id = newUUID()
		sql, err := a.once.beginSQL(a.pc, a.doubt.id, a.db.cfg.TwinTimeout)
		return begin + "; " + sql, err
	case a.readOnly():
		return begin, nil
	case a.method == Marker:
		if !known.marker {
			return "", errNoMarker
		}
		a.doubt.id = newUUID()
		if known.direct {
			return begin, nil
		}
		return begin + "; select pg_backend_pid(), extract(epoch from now())", nil
	case known.direct && !known.recovery:
		return begin + "; select pg_current_xact_id()", nil
	default:
		// Behind a pooler the server may be another each time.
		return begin + "; select pg_current_xact_id(), " + incarnationSQL(major(a.pc)), nil
	}
}

var errNoMarker = errors.New("perdurepgx: table perdure.outcome is not there, or may not be used")

// begun takes what came with BEGIN.
func (a *attempt) begun(known *facts, rows [][]string) error {
	switch {
	case known == nil:
		return nil
	case a.once != nil:
		a.doubt.inc = known.inc
		return a.once.begun(&a.doubt, rows)
	case a.method == Marker:
		if len(rows) == 1 && len(rows[0]) == 2 {
			a.doubt.backend = backend{pid: rows[0][0], began: rows[0][1], inTx: true}
		}
		return nil
	case len(rows) != 1:
		return errors.New("perdurepgx: BEGIN did not answer with the transaction's xid")
	}
	a.doubt.inc = known.inc
	if len(rows[0]) == 1+incarnationColumns {
		a.doubt.inc = incarnationOf(rows[0][1:])
	}
	xid, err := strconv.ParseUint(rows[0][0], 10, 64)
	a.doubt.xid = xid
	return err
}

// commitSQL is the COMMIT of the attempt, with the marker before it. If the
// marker fails, the server skips the COMMIT. A forced marker is written even if
// the transaction has no xid.
func (a *attempt) commitSQL(forced bool) string {
	commit := a.opts.CommitQuery
	if commit == "" {
		commit = "commit"
	}
	switch {
	case a.once != nil || a.method != Marker || a.readOnly():
		return commit
	case forced:
		return "select perdure.mark('" + a.doubt.id.String() + "', true); " + commit
	default:
		return "select perdure.mark('" + a.doubt.id.String() + "'); " + commit
	}
}

// commit sends COMMIT, once, and judges what came of it.
func (a *attempt) commit(ctx context.Context) (perdure.Judgement, error) {
	tx := a.h.Tx
	if a.h.notifies {
		tx = open(ctx, a.conn.Conn(), a.commitSQL(true))
	}
	if a.once != nil {
		sql, err := a.once.commitSQL(a.pc, a.doubt.id)
		if err != nil {
			a.rollback(ctx)
			return never(""), err
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
	case a.w.unreplicated.Swap(false):
		// As good as no reply: the resolver waits for the standbys.
		a.doubt.err = errUnreplicated
		return perdure.Judgement{}, errUnreplicated
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
	a.doubt.sent = time.Now()
	err := tx.Commit(context.WithoutCancel(ctx))
	a.doubt.written = w.app.Load() - before
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
		return safe(a.db.verdict(err)), err
	case refused(a.w.lastErr) && unproven(a.w.lastErr):
		return a.unproven(ctx, err)
	case refused(a.w.lastErr):
		if a.method == Marker && a.pc.TxStatus() == 'E' {
			return a.markFailed()
		}
		return safe(a.db.verdict(a.w.lastErr)), err
	case a.doubt.written == 0:
		v, err := a.db.lost(ctx, a.w, err)
		if !errors.Is(err, pgconn.ErrConnClosed) && v.Category == pgerr.CategoryUnknown {
			return never(""), err // "conn busy": the function's own fault
		}
		return safe(v), err
	case a.readOnly():
		v, err := a.db.lost(ctx, a.w, err)
		return safe(v), err
	}
	a.doubt.err = err
	return perdure.Judgement{}, err
}

// unproven reports whether an ERROR that answered COMMIT leaves open what became
// of it: the connection to a foreign server was lost, whose part of the work may
// be committed, or the server says that it does not know (40003, 08007).
func unproven(e *pgconn.PgError) bool { return strings.HasPrefix(e.Code, "08") || e.Code == "40003" }

func (a *attempt) unproven(ctx context.Context, err error) (perdure.Judgement, error) {
	const evidence = "the server reported a connection that it lost at COMMIT: work on a foreign server may be committed, although it is rolled back here"
	event := perdure.OutcomeEvent{Op: a.op.Name, Resolution: perdure.Undecided, Method: a.method.String(), Evidence: evidence}
	if a.once != nil {
		event.Key = a.once.key
	}
	a.db.m.CommitOutcome(ctx, event)
	return perdure.Judgement{
		Verdict: a.db.verdict(a.w.lastErr), Repeat: perdure.RepeatNever, Reason: perdure.ReasonOutcomeUnknown,
		Hint: "look whether the work is there, also on the foreign servers",
	}, &outcomeError{evidence: evidence, err: err}
}

// markFailed judges a marker that was refused, and with it the transaction.
// Under Auto the next attempt asks again whether the table can be used.
func (a *attempt) markFailed() (perdure.Judgement, error) {
	err := error(a.w.lastErr)
	v := a.db.verdict(err)
	j := safe(v)
	if a.once != nil {
		err = fmt.Errorf("result of %s: %w", a.once.key, err)
	}
	if isMissing(err) {
		a.db.relearn()
		j.Hint = hintMigrate
		if a.db.cfg.Outcome == Auto && a.once == nil {
			j.Verdict.Retry = pgerr.RetryTransaction
		}
	}
	return j, err
}

// isMissing reports whether err says that perdure's schema is not there or may
// not be used.
func isMissing(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return errors.Is(err, errNoMarker)
	}
	switch e.Code {
	case "42501", "42883", "42P01", "3F000":
		return true
	}
	return false
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

package perduresql

import (
	"context"
	"strconv"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/internal/sqlname"
	"github.com/perdure/perdure/pgerr"
)

// Commit commits and returns what became of it: nil for what is committed, an
// error that is perdure.ErrOutcomeUnknown for what cannot be known, any other
// for what is rolled back. It is not repeated. database/sql calls it.
func (t *txn) Commit() error {
	defer t.leave()
	ctx := context.WithoutCancel(t.ctx)
	if t.inside {
		if !t.final {
			t.undo(ctx)
			t.err, t.j = errCommitInside, adapter.Never("return nil to commit")
			return t.err
		}
		t.j, t.err = t.commit(ctx)
		return t.err
	}
	defer t.db.open.Done()
	defer t.settle()
	// In a transaction no breaker refuses, and nothing is repeated.
	ctx = t.db.m.WithTransaction(ctx)
	err := t.db.m.Guarded(ctx, sqlname.Derived(t.op.Name+".commit"), func(ctx context.Context, _ int) (perdure.Judgement, error) {
		return t.finish(ctx)
	})
	if t.h != nil { // the Manager was closed: what it had admitted goes on all the same
		_, err = t.finish(ctx)
	}
	return err
}

// finish commits a transaction that is not an InTx's.
func (t *txn) finish(ctx context.Context) (perdure.Judgement, error) {
	j, err := t.commit(ctx)
	if t.doubt.Err != nil {
		return t.resolve(ctx)
	}
	t.giveBack()
	j.Repeat = perdure.RepeatNever
	return j, err
}

// Rollback rolls back. database/sql calls it, also when the context of the
// transaction has ended.
func (t *txn) Rollback() error {
	defer t.leave()
	t.undo(t.ctx)
	if !t.inside {
		t.giveBack()
		t.db.open.Done()
	}
	return nil // what is not rolled back here is by the server
}

// leave says that database/sql has ended the transaction.
func (t *txn) leave() {
	t.place.tx = nil
	if t.ended != nil {
		close(t.ended)
	}
}

func (t *txn) settle() {
	if t.settled != nil {
		t.settled()
	}
}

// The functions that follow raise 42704 by asking for a setting that is not
// there, before COMMIT is reached.
const (
	stillReadOnly = "select case current_setting('transaction_read_only') when 'on' then 1 else current_setting('perdure.made_writable')::integer end; "
	stateNoObject = "42704"
)

// commitSQL is COMMIT, with what must hold before it: the server skips it if
// that fails. Something always stands there, for COMMIT of an aborted transaction
// succeeds as a ROLLBACK, which drivers do not show.
func (t *txn) commitSQL() string {
	switch id := t.doubt.ID.String(); {
	case t.once != nil && t.once.remembered:
		return "select 1; commit"
	case t.once != nil:
		return "select perdure.end_once('" + id + "', " + literal(string(t.once.result)) + "); commit"
	case t.opts.ReadOnly:
		return stillReadOnly + "commit"
	case t.method == Marker && t.notifies:
		return "select perdure.mark('" + id + "', true); commit"
	case t.method == Marker:
		return "select perdure.mark('" + id + "'); commit"
	default:
		return "select case pg_current_xact_id_if_assigned()::text when '" + strconv.FormatUint(t.doubt.XID, 10) +
			"' then 1 else current_setting('perdure.another_transaction')::integer end; commit"
	}
}

// commit sends COMMIT, once, and judges what came of it. A doubt is in t.doubt.
func (t *txn) commit(ctx context.Context) (perdure.Judgement, error) {
	if t.h.broken.Load() {
		t.done = true
		v, err := t.db.lost(ctx, t.h.link, errBadConn)
		return adapter.Safe(v), err
	}
	// From here on the outcome is open: closing the Manager waits for it.
	if end, err := t.db.m.BeginOutcome(); err == nil {
		t.settled = end
	}
	err := t.send(ctx)
	t.done = true
	switch w := t.h.w; {
	case w != nil && w.unreplicated.Swap(false):
		// As good as no reply: the resolver waits for the standbys.
		t.doubt.Err = outcome.ErrUnreplicated
		return perdure.Judgement{}, t.doubt.Err
	case err == nil:
		return perdure.Judgement{}, nil
	}
	return t.answered(ctx, err)
}

// send sends COMMIT under a limit of our own, and notes whether any of it was
// written.
func (t *txn) send(ctx context.Context) error {
	w := t.h.w
	if w != nil {
		w.committing.Store(true)
	}
	before := t.h.written()
	t.doubt.Sent = time.Now()
	err := t.h.run(ctx, t.db.cfg.CommitTimeout, t.commitSQL())
	if t.doubt.Written = 1; w != nil {
		t.doubt.Written = w.written.Load() - before
		if err == nil || !t.h.broken.Load() {
			w.committing.Store(false)
		}
	}
	return err
}

// answered judges an error from COMMIT. One thing proves that it happened, some
// prove that it is rolled back; all else is a doubt.
func (t *txn) answered(ctx context.Context, err error) (perdure.Judgement, error) {
	f, ok := answerFields(t.h.w, err)
	switch {
	case t.h.w != nil && t.h.w.commits.Load() != t.commits:
		return perdure.Judgement{}, nil // the reply had arrived; what failed came after it
	case ok && f.Severity == "ERROR" && outcome.Unproven(f.SQLState):
		v := t.db.verdict(t.h.w, err)
		t.undo(ctx)
		return outcome.Foreign(ctx, t.db.m, t.op.Name, t.key(), t.method.String(), v, err)
	case ok && f.Severity == "ERROR":
		return t.refused(ctx, f, err)
	case t.doubt.Written == 0:
		v, err := t.db.lost(ctx, t.h.link, err)
		if !t.h.broken.Load() {
			t.undo(ctx)
			return adapter.Never(""), err // the driver is busy with a result: the function's own fault
		}
		return adapter.Safe(v), err
	case t.opts.ReadOnly:
		t.h.broken.Store(true)
		v, err := t.db.lost(ctx, t.h.link, err)
		return adapter.Safe(v), err
	}
	t.h.broken.Store(true)
	t.doubt.Err = err
	return perdure.Judgement{}, err
}

// refused judges a COMMIT, or what stood before it, that the server refused.
func (t *txn) refused(ctx context.Context, f pgerr.Fields, err error) (perdure.Judgement, error) {
	cause := error(nil)
	if f.SQLState == sqlStateAborted {
		cause = t.aborted()
	}
	before := t.stopped() // before COMMIT
	t.undo(ctx)
	switch {
	case f.SQLState == sqlStateAborted && cause == nil:
		return adapter.Never(""), err
	case f.SQLState == sqlStateAborted:
		err = &abortedError{err: cause}
		return adapter.Safe(adapter.ReadOnly(t.db.m, t.db.verdict(t.h.w, cause), t.opts.ReadOnly)), err
	case f.SQLState == stateNoObject && t.once == nil && t.opts.ReadOnly:
		return adapter.Never("do not make an op ReadOnly whose work writes"), errMadeWritable
	case f.SQLState == stateNoObject && t.once == nil && t.method == Token:
		return adapter.Never(hintEnded), errEndedInside
	}
	j := adapter.Safe(t.db.verdict(t.h.w, err))
	if t.method == Marker && before && outcome.IsMissing(f.SQLState) {
		t.db.relearn()
		j.Hint = outcome.HintMigrate
		if t.db.cfg.Outcome == Auto && t.once == nil {
			j.Verdict.Retry = pgerr.RetryTransaction
		}
	}
	return j, err
}

// stopped reports whether what stands before COMMIT failed; true if it is not known.
func (t *txn) stopped() bool {
	if t.h.w == nil {
		return true
	}
	status, _ := t.h.w.state()
	return status != 'I'
}

// abortedError is the error of a transaction that was aborted by a statement
// whose error the function kept to itself.
type abortedError struct{ err error }

func (e *abortedError) Error() string { return e.Describe(error.Error) }
func (e *abortedError) Unwrap() error { return e.err }

// Describe makes it a redact.Describer.
func (e *abortedError) Describe(text func(error) string) string {
	return "commit of an aborted transaction: " + text(e.err)
}

// resolve finds out what became of COMMIT. The connection goes first: nothing is
// looked into while it is held.
func (t *txn) resolve(ctx context.Context) (perdure.Judgement, error) {
	db := t.db
	db.m.Suspect("the reply to a commit was lost")
	v, err := db.lost(ctx, t.h.link, t.doubt.Err)
	if t.kept {
		t.h.broken.Store(true)
		if t.h.w != nil {
			t.h.w.cut()
		}
	}
	t.giveBack()
	q := &outcome.Question{Doubt: t.doubt, Marker: t.once != nil || t.method == Marker}
	return db.resolver.Settle(ctx, db.m, q, t.op.Name, t.key(), v, err)
}

// key is that of a Once, or "".
func (t *txn) key() string {
	if t.once == nil {
		return ""
	}
	return t.once.key
}

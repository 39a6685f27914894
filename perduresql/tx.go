package perduresql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/internal/sqlname"
	"github.com/perdure/perdure/pgerr"
)

// rollbackWait bounds a ROLLBACK: a connection that does not answer it is
// closed, and the server rolls back by itself.
const rollbackWait = 2 * time.Second

var (
	errCommitInside = errors.New("perduresql: the transaction is committed when its function returns nil: do not call Commit")
	errEndedInside  = errors.New("perduresql: the transaction was ended by a statement")
	errMadeWritable = errors.New("perduresql: a READ ONLY transaction was made writable")
	errNested       = errors.New("perduresql: a transaction is open already: use SAVEPOINT in it")
	errNoMarker     = errors.New("perduresql: table perdure.outcome is not there, or may not be used")
	errEnded        = errors.New("perduresql: the transaction has ended")
)

const hintEnded = "do not send COMMIT or ROLLBACK as a statement"

// txn is one try of a transaction; for database/sql, its driver.Tx.
type txn struct {
	db     *DB
	op     *perdure.Op
	opts   sql.TxOptions
	method Outcome         // Auto until the connection has learned what its server can do
	once   *once           // nil for a plain transaction
	inside bool            // it belongs to InTx, which alone commits
	final  bool            // InTx says so
	kept   bool            // its connection is a session's, and stays with it
	ctx    context.Context //nolint:containedctx // of Begin: database/sql's Commit is given none

	place    *conn // of the *sql.Tx that has it
	h        *held
	doubt    outcome.Doubt // what the resolver will need
	commits  int64         // that the server had reported when it had begun
	notifies bool          // a statement may NOTIFY: the commit needs a marker even without an xid
	txErr    error         // that aborted it, as far as is known

	taken   bool // a *sql.Tx has it
	done    bool
	ended   chan struct{} // closed when database/sql has ended it
	settled func()        // says that the outcome of COMMIT is known; nil before COMMIT
	j       perdure.Judgement
	err     error // of COMMIT, with j
}

type txnKey struct{}

// BeginTx begins a transaction: the one of an InTx that is in ctx, or one whose
// Commit tells what became of it.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if t, ok := ctx.Value(txnKey{}).(*txn); ok && t.db == c.db && !t.taken {
		t.taken = true
		t.place, c.tx = c, t
		return t, nil
	}
	op, ok := perdure.OpFrom(ctx)
	if !ok {
		op = sqlname.Derived("tx")
	}
	t := &txn{
		db: c.db, op: &op, method: c.db.cfg.Outcome, ctx: ctx, taken: true,
		opts: sql.TxOptions{Isolation: sql.IsolationLevel(opts.Isolation), ReadOnly: opts.ReadOnly || op.ReadOnly},
	}
	err := c.db.m.Guarded(ctx, op, func(ctx context.Context, _ int) (perdure.Judgement, error) {
		if t.h = c.h; c.h != nil {
			t.kept = true
			t.h.take(op.Name)
		} else {
			var j perdure.Judgement
			var err error
			if t.h, j, err = c.db.acquire(ctx, &op); err != nil {
				return j, err
			}
		}
		j, err := t.begin(ctx)
		if err != nil {
			t.giveBack()
		}
		if t.kept {
			j.Repeat = perdure.RepeatNever
		}
		return j, err
	})
	if err != nil {
		return nil, err
	}
	c.db.open.Add(1)
	t.place, c.tx = c, t
	return t, nil
}

// giveBack returns the connection to whom it belongs.
func (t *txn) giveBack() {
	if t.h != nil && !t.kept {
		t.h.release()
	}
	t.h = nil
}

// beginText renders BEGIN with its options.
func beginText(o sql.TxOptions) (string, error) {
	s := "begin"
	switch o.Isolation {
	case sql.LevelDefault:
	case sql.LevelReadUncommitted:
		s += " isolation level read uncommitted"
	case sql.LevelReadCommitted:
		s += " isolation level read committed"
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		s += " isolation level repeatable read"
	case sql.LevelSerializable:
		s += " isolation level serializable"
	default:
		return "", fmt.Errorf("perduresql: PostgreSQL has no isolation level %v", o.Isolation)
	}
	if o.ReadOnly {
		s += " read only"
	}
	return s, nil
}

// begin sends BEGIN with whatever the outcome will need.
func (t *txn) begin(ctx context.Context) (perdure.Judgement, error) {
	begin, err := beginText(t.opts)
	if err != nil {
		return adapter.Never(""), err
	}
	t.doubt, t.txErr = outcome.Doubt{}, nil
	var known *facts
	if t.once != nil || !t.opts.ReadOnly { // what changes nothing leaves no doubt
		if known, err = t.learn(ctx); err != nil {
			return t.beginFailed(ctx, err)
		}
		if known.direct {
			t.doubt.Backend = known.backend
		}
		if t.method == Auto {
			t.method = t.db.methodFor(known)
		}
		if !known.marker && (t.once != nil || t.method == Marker) {
			return perdure.Judgement{Repeat: perdure.RepeatNever, Hint: outcome.HintMigrate}, errNoMarker
		}
	}
	switch {
	case t.once != nil:
		t.doubt.ID, t.doubt.In = outcome.NewUUID(), known.inc
		err = t.once.begin(ctx, t, begin)
	case t.opts.ReadOnly:
		err = t.h.tell(ctx, askWait, begin)
	case t.method == Marker:
		t.doubt.ID = outcome.NewUUID()
		err = t.beginMarker(ctx, begin, known)
	default:
		err = t.beginToken(ctx, begin, known)
	}
	if err != nil {
		return t.beginFailed(ctx, err)
	}
	if t.h.w != nil {
		t.commits = t.h.w.commits.Load()
	}
	return perdure.Judgement{}, nil
}

// learn is DB.learn, again if another process may have called Migrate since.
func (t *txn) learn(ctx context.Context) (*facts, error) {
	known, err := t.db.learn(ctx, t.h.link)
	if err == nil && !known.marker && (t.once != nil || t.method == Marker) {
		t.h.known = nil
		known, err = t.db.learn(ctx, t.h.link)
	}
	return known, err
}

func (t *txn) beginMarker(ctx context.Context, begin string, known *facts) error {
	if known.direct {
		return t.h.tell(ctx, askWait, begin)
	}
	rows, err := t.first(ctx, begin, "select pg_backend_pid(), extract(epoch from now())")
	if err != nil {
		return err
	}
	if len(rows) == 1 && len(rows[0]) == 2 {
		t.doubt.Backend = outcome.Backend{PID: rows[0][0], Began: rows[0][1], InTx: true}
	}
	return nil
}

func (t *txn) beginToken(ctx context.Context, begin string, known *facts) error {
	ask := "select pg_current_xact_id()::text"
	direct := known.direct && !known.recovery
	if !direct {
		// Behind a pooler the server may be another each time.
		ask += ", pg_backend_pid(), extract(epoch from now()), " + outcome.IncarnationSQL(known.version)
	}
	rows, err := t.first(ctx, begin, ask)
	if err != nil {
		return err
	}
	if len(rows) != 1 || !direct && len(rows[0]) != 3+outcome.IncarnationColumns {
		return errors.New("perduresql: BEGIN did not answer with the transaction's xid")
	}
	if t.doubt.In = known.inc; !direct {
		t.doubt.Backend = outcome.Backend{PID: rows[0][1], Began: rows[0][2], InTx: true}
		t.doubt.In = outcome.IncarnationOf(rows[0][3:])
	}
	t.doubt.XID, err = strconv.ParseUint(rows[0][0], 10, 64)
	return err
}

// first begins the transaction and asks, in one round trip where there is a
// witness to read the answer. Without one a plain BEGIN goes behind the question,
// in the same round trip: it makes a block of the transaction that a message of
// several statements is, and drivers give the rows of the first only. One with
// options must come first; and pgx takes only one statement for a query.
func (t *txn) first(ctx context.Context, begin, ask string) ([][]string, error) {
	if rows, ok, err := t.h.all(ctx, askWait, begin+"; "+ask); ok {
		return rows, err
	}
	if begin == "begin" && !t.db.single.Load() {
		rows, err := t.h.ask(ctx, askWait, ask+"; begin")
		if state, _ := answerOf(err); state != stateSyntax {
			return rows, err
		}
		t.db.single.Store(true)
	}
	if err := t.h.tell(ctx, askWait, begin); err != nil {
		return nil, err
	}
	return t.h.ask(ctx, askWait, ask)
}

// beginFailed judges an error before the work: nothing has happened.
func (t *txn) beginFailed(ctx context.Context, err error) (perdure.Judgement, error) {
	v, err := t.db.lost(ctx, t.h.link, err)
	t.undo(ctx)
	j := adapter.Safe(v)
	if t.once != nil && isMissing(err) {
		t.db.relearn()
		j.Hint = outcome.HintMigrate
	}
	return j, err
}

// isMissing reports whether err says that perdure's schema is not there or may
// not be used.
func isMissing(err error) bool {
	state, _ := answerOf(err)
	return outcome.IsMissing(state) || errors.Is(err, errNoMarker)
}

// statement runs f inside the transaction, once. One that would end the
// transaction is refused here, where nothing has happened yet: if its reply were
// lost, nobody could tell.
func (t *txn) statement(ctx context.Context, query string, f func(ctx context.Context, h *held) error) error {
	switch {
	case t.done:
		return errEnded
	case sqlname.EndsInside(query):
		return errEndedInside
	}
	if !t.notifies && sqlname.MayNotify(query) {
		t.notifies = true
	}
	err := f(ctx, t.h)
	if err == nil {
		t.txErr = nil // a ROLLBACK TO SAVEPOINT, if there was an error before
		return nil
	}
	if f, ok := answerFields(t.h.w, err); ok && f.SQLState != sqlStateAborted && !adapter.IsNotice(f.Severity) {
		t.txErr = err
	}
	if t.h.broken.Load() {
		t.db.m.Suspect("a connection was lost in a transaction")
	}
	return t.h.hide(ctx, err)
}

const (
	sqlStateAborted = "25P02"
	stateSyntax     = "42601"
)

// aborted returns what moved the transaction into the state in which it answers
// nothing but 25P02: that decides.
func (t *txn) aborted() error {
	if t.txErr != nil {
		return t.txErr
	}
	if t.h != nil && t.h.w != nil {
		if _, e := t.h.w.state(); e != nil {
			return e
		}
	}
	return nil
}

// judgeFailed judges the error of a function, after which the transaction is
// rolled back.
func (t *txn) judgeFailed(ctx context.Context, err error) (perdure.Judgement, error) {
	v := t.db.verdict(t.h.w, err)
	if v.SQLState == sqlStateAborted {
		if cause := t.aborted(); cause != nil {
			v = t.db.verdict(t.h.w, cause)
		}
	}
	if t.h.broken.Load() && (v.Category == pgerr.CategoryConnection || v.Category == pgerr.CategoryTimeout || errors.Is(err, errBadConn) ||
		errors.Is(err, sql.ErrTxDone)) {
		v, err = t.db.lost(ctx, t.h.link, err)
	}
	v = adapter.ReadOnly(t.db.m, v, t.opts.ReadOnly)
	if t.h.w != nil && t.h.w.commits.Load() != t.commits {
		return perdure.Judgement{Verdict: v, Repeat: perdure.RepeatByOp, Hint: hintEnded}, err
	}
	return adapter.Safe(v), err
}

// undo rolls back what may be open. If that does not work the connection is
// closed, and the server does it.
func (t *txn) undo(ctx context.Context) {
	t.done = true
	if t.h == nil || t.h.broken.Load() {
		return
	}
	if t.h.w != nil {
		if status, _ := t.h.w.state(); status == 'I' {
			return
		}
	}
	if err := t.h.run(ctx, rollbackWait, "rollback"); err != nil {
		t.h.broken.Store(true)
	}
}

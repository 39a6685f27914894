package matrix

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/bench/matrix/subject"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/pgerr"
)

const groupSession = "A session"

// locked makes all inserts wait, does something to those that do (unless it is nil), and returns what lets the others go.
func locked(p *place, do func()) (mend func()) {
	const enough = 3
	holder := p.connect(p.cluster)
	_, err := holder.Exec(p.Context(), "begin; lock table effect in exclusive mode")
	p.ended(err)
	if do != nil {
		p.eventually("inserts that wait", func() bool { return p.ask(waiting("relation")) >= enough })
		do()
	}
	return func() { p.ended(holder.Close(p.bounded())) }
}

// waiting counts the subject's sessions that wait for a kind of lock.
func waiting(event string) string {
	return "select count(*) from pg_stat_activity where usename = '" + role + "' and wait_event_type = 'Lock' and wait_event = '" + event + "'"
}

// limited is locked with a limit of the server's that those who wait run into.
func limited(code string) func(p *place) (func(), func() bool) {
	return func(p *place) (func(), func() bool) {
		answered := p.answeredOften(3, code)
		return locked(p, nil), answered
	}
}

// setting sets a parameter for the sessions of the subject.
func setting(name, value string) func(p *place) {
	return func(p *place) {
		p.exec("alter role " + role + " in database " + p.database + " set " + name + " = '" + value + "'")
	}
}

// dawdler makes the first attempt of each transaction do something slow while it is on.
type dawdler struct {
	on      atomic.Bool
	seen    sync.Map // of keys
	dawdled atomic.Int64
}

func (d *dawdler) first(key int64) bool {
	if !d.on.Load() {
		return false
	}
	_, known := d.seen.LoadOrStore(key, true)
	return !known
}

// dawdling is a fault that lasts until some attempts have dawdled.
func dawdling(p *place) (mend func(), met func() bool) {
	const enough = 4
	p.dawdler.on.Store(true)
	return func() { p.dawdler.on.Store(false) }, func() bool { return p.dawdler.dawdled.Load() >= enough }
}

func sessionRows() []row {
	lost := []pgerr.Category{pgerr.CategoryShutdown, pgerr.CategoryConnection}
	return []row{
		{
			name: "terminate-idle", group: groupSession, title: "pg_terminate_backend of all idle sessions",
			strike: func(p *place) (func(), func() bool) {
				if !p.work.stop(p.bounded()) {
					p.Fatal("the callers do not pause")
				}
				redialled := p.redialled()
				// Before the end of its session has reached it, a client cannot know that a statement will be lost.
				p.eventually("telling the clients", p.ends("state = 'idle'"))
				p.work.resume()
				return nil, redialled
			},
			want: expectation{database: no},
		},
		{
			name: "terminate-in-flight", group: groupSession, title: "pg_terminate_backend while statements run",
			strike: func(p *place) (func(), func() bool) {
				var told func() bool
				mend := locked(p, func() { told = p.ends("wait_event = 'relation'") })
				return mend, told
			},
			want: expectation{categories: lost, statements: true, database: no},
		},
		{
			name: "terminate-in-transaction", group: groupSession, title: "pg_terminate_backend between two statements of a transaction",
			only: transactions,
			strike: func(p *place) (func(), func() bool) {
				var struck atomic.Int64
				p.onFault.Store(new(func(f faultproxy.Fault) {
					if f.Rule == "at insert" && struck.Load() < strikes && p.terminates(f.BackendPID) {
						struck.Add(1)
					}
				}))
				h := p.rule(faultproxy.Rule{Name: "at insert", Match: faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.HasPrefix("insert into effect")}})
				return h.Remove, func() bool { return struck.Load() >= strikes }
			},
			want: expectation{categories: lost, statements: true, database: no},
		},
		{
			name: "terminate-at-commit", group: groupSession, title: "pg_terminate_backend while COMMIT runs",
			prepare: func(p *place) {
				p.exec("create function late() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;; " +
					"create constraint trigger late after insert on effect deferrable initially deferred for each row execute function late()")
			},
			only: transactions,
			strike: func(p *place) (func(), func() bool) {
				holder := p.connect(p.cluster)
				_, err := holder.Exec(p.Context(), "select pg_advisory_lock(1)")
				p.ended(err)
				p.eventually("COMMITs that wait", func() bool { return p.ask(waiting("advisory")) >= 3 })
				felt := p.felt()
				seen := p.answered("57P01")
				p.terminate("wait_event = 'advisory'")
				return func() { p.ended(holder.Close(p.bounded())) }, func() bool { return felt() || seen() }
			},
			want: expectation{outcomes: []perdure.Resolution{perdure.Aborted}, database: no},
		},
		{
			name: "cancel", group: groupSession, title: "pg_cancel_backend while statements run",
			strike: func(p *place) (func(), func() bool) {
				seen := p.answered("57014")
				mend := locked(p, func() {
					p.ask("select count(pg_cancel_backend(pid)) from pg_stat_activity where usename = '" + role + "' and wait_event = 'relation'")
				})
				return mend, seen
			},
			want: expectation{states: []string{"57014"}, fails: true, database: no},
		},
		{
			name: "statement-timeout", group: groupSession, title: "statement_timeout", prepare: setting("statement_timeout", "200ms"),
			strike: limited("57014"),
			want:   expectation{states: []string{"57014"}, fails: true, database: no},
		},
		{
			name: "lock-timeout", group: groupSession, title: "lock_timeout", prepare: setting("lock_timeout", "100ms"),
			strike: limited("55P03"),
			want:   expectation{states: []string{"55P03"}, database: no},
		},
		{
			name: "idle-timeout", group: groupSession, title: "idle_in_transaction_session_timeout",
			work: func(ctx context.Context, p *place, tx subject.Tx, key int64) error {
				pid, err := tx.Int(ctx, "select pg_backend_pid()")
				if err != nil {
					return err
				}
				if err := tx.Exec(ctx, insertSQL, key); err != nil {
					return err
				}
				if p.dawdler.first(key) {
					// For this transaction alone: no other has to be fast.
					if err := tx.Exec(ctx, "set local idle_in_transaction_session_timeout = '100ms'"); err != nil {
						return err
					}
					p.gone(ctx, pid)
					p.dawdler.dawdled.Add(1)
				}
				return nil
			},
			strike: dawdling,
			want:   expectation{database: no},
		},
		{
			name: "transaction-timeout", group: groupSession, title: "transaction_timeout", since: 17,
			work: func(ctx context.Context, p *place, tx subject.Tx, key int64) error {
				if err := tx.Exec(ctx, insertSQL, key); err != nil {
					return err
				}
				if p.dawdler.first(key) {
					p.dawdler.dawdled.Add(1)
					if err := tx.Exec(ctx, "set local transaction_timeout = '500ms'"); err != nil {
						return err
					}
					return tx.Exec(ctx, "select pg_sleep(10)")
				}
				return nil
			},
			strike: dawdling,
			want:   expectation{states: []string{"25P04"}, database: no},
		},
	}
}

// terminates ends a session, waits until it is gone, and reports whether it was there. It runs on
// the proxy's goroutine and so reports nothing else.
func (p *place) terminates(pid int) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.Context()), patience)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	var gone bool
	return conn.QueryRow(ctx, "select pg_terminate_backend($1, 60000)", pid).Scan(&gone) == nil && gone
}

// gone waits until a session has ended. It runs on a caller's goroutine.
func (p *place) gone(ctx context.Context, pid int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		p.Errorf("connecting past the proxy: %v", err)
		return
	}
	defer conn.Close(ctx)
	for {
		var there bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_stat_activity where pid = $1)", pid).Scan(&there); err != nil {
			p.Errorf("waiting for the end of a session: %v", err)
			return
		}
		if !there {
			return
		}
		sleep(ctx, 5*time.Millisecond)
	}
}

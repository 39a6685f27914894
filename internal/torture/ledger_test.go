package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

const workers = 8

// row is what became of one piece of work, as its caller saw it.
type row struct {
	err      error
	ended    time.Time
	resolved perdure.Resolution // of its commit, if it was in doubt
}

// span is a piece of time.
type span struct{ from, to time.Time }

// reachable returns how much of s is left after the last of downs in it.
func (s span) reachable(downs []span) time.Duration {
	for _, d := range downs {
		if d.from.Before(s.to) && d.to.After(s.from) {
			s.from = d.to
		}
	}
	return max(s.to.Sub(s.from), 0)
}

// ledger is work without end: each piece inserts one row into a table that
// does not mind doubles.
type ledger struct {
	m    *perdure.Manager
	db   *perdurepgx.DB
	next atomic.Int64
	done atomic.Int64
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	rows     map[int64]row
	doubts   map[int64]perdure.Resolution
	doubted  []span // from the doubt to the answer
	downs    []span // while no server could be reached
	counts   map[perdure.Resolution]int
	failedAt time.Time // when the old primary was gone
}

var opWork = perdure.Op{Name: "torture.work"} //nolint:gochecknoglobals // an Op is declared once

func newLedger(t *testing.T, url string, method perdurepgx.Outcome) *ledger {
	t.Helper()
	l := &ledger{rows: map[int64]row{}, doubts: map[int64]perdure.Resolution{}, counts: map[perdure.Resolution]int{}}
	m, err := perdure.New(perdure.Config{
		Policy: perdure.Policy{MaxAttempts: -1, Park: 2 * time.Minute},
		Budget: perdure.BudgetConfig{Off: true}, // what is counted here is the outcome of commits
		Hooks:  perdure.Hooks{CommitOutcome: l.saw},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = workers
	l.m = m
	l.db, err = perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{
		Outcome: method, CommitTimeout: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.db.Exec(t.Context(), "create table ledger (id bigint, worker int)"); err != nil {
		t.Fatal(err)
	}
	if method == perdurepgx.Marker {
		if err := l.db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *ledger) saw(_ context.Context, e perdure.OutcomeEvent) {
	id, err := strconv.ParseInt(e.CorrelationID, 10, 64)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubts[id] = e.Resolution
	l.counts[e.Resolution]++
	now := time.Now()
	l.doubted = append(l.doubted, span{now.Add(-e.Took), now})
}

func (l *ledger) start(t *testing.T, _ string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	for w := range workers {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				id := l.next.Add(1)
				// A piece that has begun is finished: only between them is there an end.
				work := perdure.WithCorrelationID(context.WithoutCancel(ctx), strconv.FormatInt(id, 10))
				err := l.db.InTx(work, opWork, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "insert into ledger (id, worker) values ($1, $2)", id, w)
					return err
				})
				l.mu.Lock()
				l.rows[id] = row{err: err, ended: time.Now(), resolved: l.doubts[id]}
				l.mu.Unlock()
				l.done.Add(1)
			}
		})
	}
}

func (l *ledger) until(t *testing.T, enough func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !enough() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(context.Cause(t.Context()))
		}
	}
}

// progress waits until some pieces of work are done.
func (l *ledger) progress(t *testing.T) {
	t.Helper()
	goal := l.done.Load() + 2*workers + rand.Int64N(workers)
	l.until(t, func() bool { return l.done.Load() >= goal })
}

func (l *ledger) failover() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failedAt = time.Now()
}

// down says that no server could be reached from from until now.
func (l *ledger) down(from time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.downs = append(l.downs, span{from, time.Now()})
}

// finish stops the work, compares what was said with what is there, and prints
// it. It returns how many rows a failover dropped after they were acknowledged.
func (l *ledger) finish(t *testing.T, url string, mayBeUnknown bool) (dropped int) {
	t.Helper()
	l.stop()
	l.wg.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := l.m.Close(ctx); err != nil {
		t.Error(err)
	}
	l.db.Close()
	there := present(t, url)

	var lost, doubled, falselyCommitted, ghosts, unknown, failed int
	for id, r := range l.rows {
		n := there[id]
		delete(there, id)
		isUnknown := errors.Is(r.err, perdure.ErrOutcomeUnknown)
		switch {
		case n > 1:
			doubled++
			t.Errorf("row %d is there %d times", id, n)
		case isUnknown:
			unknown++
			if !mayBeUnknown {
				t.Errorf("row %d: %v", id, r.err)
			}
		case r.err != nil && n == 1:
			ghosts++
			t.Errorf("row %d is there, although its work failed: %v", id, r.err)
		case r.err != nil:
			failed++
			t.Logf("row %d: %v", id, r.err)
		case n == 1:
		case !l.failedAt.IsZero() && r.ended.Before(l.failedAt):
			dropped++ // the old primary had acknowledged it
		case r.resolved == perdure.Committed:
			falselyCommitted++
			t.Errorf("row %d is not there, although its commit was resolved as committed", id)
		default:
			lost++
			t.Errorf("row %d is not there, although its commit was acknowledged", id)
		}
	}
	for id, n := range there {
		t.Errorf("row %d, which nobody wrote, is there %d times", id, n)
	}
	took := make([]time.Duration, len(l.doubted))
	for i, d := range l.doubted {
		took[i] = d.reachable(l.downs)
	}
	slices.Sort(took)
	p99 := time.Duration(0)
	if len(took) > 0 {
		p99 = took[len(took)*99/100]
	}
	t.Logf("%6d transactions, %d failed; in doubt: %d committed, %d aborted, %d unknown; resolved in %v at p99",
		len(l.rows), failed, l.counts[perdure.Committed], l.counts[perdure.Aborted], l.counts[perdure.Undecided], p99.Round(time.Microsecond))
	t.Logf("lost %d, doubled %d, falsely committed %d, falsely aborted %d, unknown %d; dropped by the failover after it was acknowledged %d",
		lost, doubled, falselyCommitted, ghosts, unknown, dropped)
	if *size == "full" && p99 > 2*time.Second { // of a handful p99 is the slowest, and the machine may be busy
		t.Errorf("p99 of the resolutions is %v, want at most 2s", p99)
	}
	return dropped
}

func present(t *testing.T, url string) map[int64]int {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "select id, count(*) from ledger group by id")
	if err != nil {
		t.Fatal(err)
	}
	there := map[int64]int{}
	var id int64
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { there[id] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return there
}

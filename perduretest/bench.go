package perduretest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
)

// bench is what a case works with.
type bench struct {
	Subject

	m       *perdure.Manager
	proxy   *faultproxy.Proxy
	check   Subject // goes straight to the server
	name    string  // for tables, functions and keys of the case
	mu      sync.Mutex
	seen    []perdure.OutcomeEvent
	onPark  func()
	url     string // through the proxy
	setup   Setup
	restart func() // kills a private server and starts it; nil where it is the user's
}

// manager returns a Manager that repeats soon and often.
func (b *bench) manager(tb testing.TB) *perdure.Manager {
	tb.Helper()
	quick := backoff.Config{Initial: time.Millisecond, Max: 20 * time.Millisecond}
	m, err := perdure.New(perdure.Config{
		Name:   "perduretest",
		Policy: perdure.Policy{MaxAttempts: 20, Backoff: quick, Contention: quick, Park: time.Minute},
		Hooks: perdure.Hooks{
			CommitOutcome: func(_ context.Context, e perdure.OutcomeEvent) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.seen = append(b.seen, e)
			},
			Parked: func(context.Context, perdure.ParkEvent) {
				b.mu.Lock()
				f := b.onPark
				b.mu.Unlock()
				if f != nil {
					f()
				}
			},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// open opens a Subject with a Manager of its own.
func (b *bench) open(tb testing.TB, url string) (Subject, *perdure.Manager) {
	tb.Helper()
	m := b.manager(tb)
	s := b.setup.New(tb, url, m)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			tb.Errorf("closing the manager: %v", err)
		}
		s.Close()
	})
	return s, m
}

// newBench puts a proxy before the server at url and opens a Subject behind it.
func newBench(tb testing.TB, setup Setup, url string, restart func()) *bench {
	tb.Helper()
	b := &bench{setup: setup, restart: restart, name: "perduretest_" + word()}
	b.proxy, b.url = faultproxytest.Before(tb, url, faultproxy.Config{Seed: 1})
	b.check, _ = b.open(tb, url)
	b.Subject, b.m = b.open(tb, b.url)
	b.must(tb, "create table "+b.name+" (id bigint, at timestamptz default clock_timestamp())")
	b.must(tb, "create sequence "+b.name+"_seq")
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
		defer cancel()
		err := errors.Join(b.check.Exec(ctx, "drop table "+b.name), b.check.Exec(ctx, "drop sequence "+b.name+"_seq cascade"))
		if err != nil {
			tb.Errorf("cleaning up: %v", err)
		}
	})
	return b
}

func word() string {
	var raw [6]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// must runs a statement straight on the server.
func (b *bench) must(tb testing.TB, sql string) {
	tb.Helper()
	if err := b.check.Exec(tb.Context(), sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// number asks the server straight.
func (b *bench) number(tb testing.TB, sql string) int64 {
	tb.Helper()
	n, err := b.check.Int(perdure.WithOp(tb.Context(), perdure.Op{Name: "perduretest.look", ReadOnly: true}), sql)
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return n
}

// rows returns how many rows with id there are.
func (b *bench) rows(tb testing.TB, id int) int64 {
	tb.Helper()
	return b.number(tb, "select count(*) from "+b.name+" where id = "+strconv.Itoa(id))
}

// insert is work that leaves a row.
func (b *bench) insert(id int) func(ctx context.Context, tx Tx) error {
	return func(ctx context.Context, tx Tx) error {
		return tx.Exec(ctx, b.insertSQL(id))
	}
}

func (b *bench) insertSQL(id int) string {
	return "insert into " + b.name + " (id) values (" + strconv.Itoa(id) + ")"
}

// take returns what the CommitOutcome hook told since the last time.
func (b *bench) take() []perdure.OutcomeEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}

// fault puts a rule in force for as long as the case goes on.
func (b *bench) fault(tb testing.TB, r faultproxy.Rule) *faultproxy.RuleHandle {
	tb.Helper()
	return faultproxytest.Add(tb, b.proxy, r)
}

// lostReply cuts the reply to a COMMIT off: it has happened.
func lostReply() faultproxy.Rule {
	return faultproxy.Rule{
		Name: "reply lost", Count: 1, Action: faultproxy.FIN,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	}
}

// lostCommit cuts a COMMIT off before the server has it.
func lostCommit() faultproxy.Rule {
	return faultproxy.Rule{
		Name: "COMMIT lost", Count: 1, Action: faultproxy.RST,
		Match: faultproxy.Match{Message: faultproxy.Run, Text: isCommit},
	}
}

// isCommit reports whether a message ends in COMMIT, as an adapter sends it.
func isCommit(sql string) bool {
	const want = "commit"
	return len(sql) >= len(want) && faultproxy.Is(want)(sql[len(sql)-len(want):])
}

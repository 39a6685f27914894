// Package livetest provokes conditions of the SQLSTATE table on a real server
// and checks what package pgerr makes of them. It has a directory of its own
// because it needs a driver, which package pgerr must not know.
package livetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

// server is the one that most tests share; those that break theirs start another.
var server pgclustertest.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Wrap(m)) }

// minCodes is how many distinct codes this package must have provoked.
const minCodes = 60

// provoked collects the distinct codes that a real server has returned.
type provoked struct {
	mu    sync.Mutex // guards codes
	codes map[string]bool
}

func (p *provoked) add(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = true
}

// TestVerdictsOnALiveServer runs everything and then counts.
func TestVerdictsOnALiveServer(t *testing.T) {
	p := &provoked{codes: map[string]bool{}}
	t.Run("statements", p.testStatements)
	t.Run("sessions", p.testSessions)
	t.Run("protocol", p.testProtocol)
	t.Run("remote", p.testRemote)
	t.Run("faults", p.testFaults)
	t.Logf("%d distinct codes provoked", len(p.codes))
	if len(p.codes) < minCodes {
		t.Errorf("%d distinct codes were provoked, want at least %d", len(p.codes), minCodes)
	}
}

// fieldsOf does what an adapter does: it hands the fields of pgx's error over.
func fieldsOf(e *pgconn.PgError) pgerr.Fields {
	return pgerr.Fields{SQLState: e.Code, Severity: e.SeverityUnlocalized, Routine: e.Routine, Message: e.Message}
}

// expect checks that err is the server's with the given code, and that its
// verdict is the table's.
func (p *provoked) expect(t *testing.T, code string, err error) {
	t.Helper()
	e, ok := pgerr.Lookup(code)
	if !ok {
		t.Fatalf("the table has no %s", code)
	}
	p.expectVerdict(t, e.Verdict(), err)
}

// expectVerdict is expect for a code whose other fields refine the verdict.
func (p *provoked) expectVerdict(t *testing.T, want pgerr.Verdict, err error) {
	t.Helper()
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		t.Errorf("got %T (%v), want SQLSTATE %s", err, err, want.SQLState)
		return
	}
	if pgErr.Code != want.SQLState {
		t.Errorf("got %v from %s, want SQLSTATE %s", pgErr, pgErr.Routine, want.SQLState)
		return
	}
	p.add(pgErr.Code)
	if diff := cmp.Diff(want, pgerr.ClassifyFields(fieldsOf(pgErr))); diff != "" {
		t.Errorf("verdict on %v of %s (-want +got):\n%s", pgErr, pgErr.Routine, diff)
	}
	byCode := pgerr.ClassifyFields(pgerr.Fields{SQLState: pgErr.Code})
	if diff := cmp.Diff(byCode, pgerr.Classify(err)); diff != "" {
		t.Errorf("Classify(%v) differs from its code's verdict (-want +got):\n%s", err, diff)
	}
}

// connect opens a session that ends with the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // many are dead by then
	return conn
}

// exec sends one string with the simple protocol.
func exec(t *testing.T, conn *pgx.Conn, sql string) error {
	t.Helper()
	_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	return err
}

// must is exec for what has to work.
func must(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := exec(t, conn, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// own starts a server for a test that breaks it.
func own(t *testing.T, settings map[string]string) *pgcluster.Cluster {
	t.Helper()
	return pgclustertest.New(t, pgcluster.Config{Settings: settings})
}

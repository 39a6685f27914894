package faultproxy_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

var server = pgclustertest.Shared{Config: pgcluster.Config{Settings: map[string]string{"fsync": "off"}}}

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Wrap(m)) }

// connect opens a connection that is closed at the test's end, broken or not.
func connect(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { abandon(conn) })
	return conn
}

// abandon closes a connection whose other end may be silent.
func abandon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx)
}

func exec(tb testing.TB, conn *pgx.Conn, sql string) {
	tb.Helper()
	if _, err := conn.Exec(tb.Context(), sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// number asks a question that has a number for an answer.
func number(tb testing.TB, conn *pgx.Conn, sql string) int {
	tb.Helper()
	var n int
	if err := conn.QueryRow(tb.Context(), sql).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return n
}

// settled returns the rows of table t once no transaction has it locked any more.
func settled(tb testing.TB, url string) int {
	tb.Helper()
	conn := connect(tb, url)
	exec(tb, conn, "begin; lock table t")
	n := number(tb, conn, "select count(*) from t")
	exec(tb, conn, "commit")
	return n
}

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

var (
	commitSent  = faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.Is("commit")}
	commitReply = faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}
)

// commitThrough inserts a row and commits through a proxy with the rule in force.
func commitThrough(t *testing.T, r faultproxy.Rule, commit func(context.Context, *pgx.Conn) error) (rows int, err error) {
	t.Helper()
	direct := server.Schema(t)
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{})
	conn := connect(t, through)
	exec(t, conn, "create table t (n int)")
	exec(t, conn, "begin")
	exec(t, conn, "insert into t values (1)")
	h := faultproxytest.Add(t, p, r)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	err = commit(ctx, conn)
	if h.Hits() != 1 || p.Stats().Faults[r.Name] != 1 {
		t.Errorf("hits = %d, stats = %v, want 1", h.Hits(), p.Stats().Faults)
	}
	p.CutAll(faultproxy.RST) // black holes and half-open ends do not let go by themselves
	return settled(t, direct), err
}

func simple(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "commit")
	return err
}

// extended commits through a prepared statement, whose SQL is seen at Parse only.
func extended(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Prepare(ctx, "finish", "COMMIT;"); err != nil {
		return err
	}
	return conn.PgConn().ExecPrepared(ctx, "finish", nil, nil, nil).Read().Err
}

func TestCutAtCommit(t *testing.T) {
	t.Parallel()
	kinds := []struct {
		name   string
		action faultproxy.Action
		side   faultproxy.Side
	}{
		{"fin", faultproxy.FIN, faultproxy.Both},
		{"rst", faultproxy.RST, faultproxy.Both},
		{"fin to the client only", faultproxy.FIN, faultproxy.ClientSide},
		{"rst to the client only", faultproxy.RST, faultproxy.ClientSide},
		{"rst to the server only", faultproxy.RST, faultproxy.ServerSide},
		{"black hole", faultproxy.BlackHole, faultproxy.Both},
		{"fatal", faultproxy.Fatal, faultproxy.Both},
	}
	moments := []struct {
		name  string
		match faultproxy.Match
		when  faultproxy.When
		rows  int
		ok    bool // the client learns of its success
	}{
		{"before COMMIT is sent", commitSent, faultproxy.Before, 0, false},
		{"after COMMIT is sent", commitSent, faultproxy.After, 1, false},
		{"before its reply", commitReply, faultproxy.Before, 1, false},
	}
	protocols := []struct {
		name   string
		commit func(context.Context, *pgx.Conn) error
	}{{"simple", simple}, {"extended", extended}}
	for _, m := range moments {
		for _, k := range kinds {
			for _, pr := range protocols {
				t.Run(k.name+" "+m.name+" "+pr.name, func(t *testing.T) {
					t.Parallel()
					rows, err := commitThrough(t, faultproxy.Rule{
						Name: "cut", Match: m.match, When: m.when, Action: k.action, Side: k.side, SQLState: "57P01",
					}, pr.commit)
					if rows != m.rows {
						t.Errorf("rows = %d, want %d", rows, m.rows)
					}
					if err == nil {
						t.Error("the client was told of success")
					}
					if got := sqlState(err); k.action == faultproxy.Fatal && got != "57P01" {
						t.Errorf("SQLSTATE = %q (%v), want 57P01", got, err)
					}
				})
			}
		}
	}
}

func TestReplyThatIsForwardedFirstIsSuccess(t *testing.T) {
	match := faultproxy.Match{Message: faultproxy.ReadyForQuery, Text: faultproxy.Is("I")}
	rows, err := commitThrough(t, faultproxy.Rule{Name: "late", Match: match, When: faultproxy.After, Action: faultproxy.FIN}, simple)
	if err != nil || rows != 1 {
		t.Errorf("rows, err = %d, %v, want 1 and success", rows, err)
	}
}

func TestDelayLetsTheMessageThrough(t *testing.T) {
	start := time.Now()
	const delay = 100 * time.Millisecond
	rows, err := commitThrough(t, faultproxy.Rule{Name: "slow", Match: commitSent, Action: faultproxy.Delay, Delay: delay}, simple)
	if err != nil || rows != 1 {
		t.Errorf("rows, err = %d, %v, want 1 and success", rows, err)
	}
	if took := time.Since(start); took < delay {
		t.Errorf("took %v, less than the delay of %v", took, delay)
	}
}

func TestUnknownTextNeverMatches(t *testing.T) {
	direct := server.Schema(t)
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{})
	h := faultproxytest.Add(t, p, faultproxy.Rule{Name: "none", Match: commitSent, Action: faultproxy.RST})
	conn := connect(t, through)
	exec(t, conn, "create table commit (n int)")
	exec(t, conn, "select 'commit'")
	if h.Matches() != 0 {
		t.Errorf("matches = %d, want 0", h.Matches())
	}
	exec(t, conn, "begin")
	if _, err := conn.Exec(t.Context(), " COMMIT ; "); err == nil {
		t.Error("COMMIT got through")
	}
	if h.Matches() != 1 {
		t.Errorf("matches = %d, want 1", h.Matches())
	}
}

func TestStartupFaults(t *testing.T) {
	direct := server.Schema(t)
	for _, tc := range []struct {
		name string
		rule faultproxy.Rule
		want func(error) bool
	}{
		{"full", faultproxy.Rule{Action: faultproxy.Fatal, SQLState: "53300"}, func(err error) bool { return sqlState(err) == "53300" }},
		{"reset", faultproxy.Rule{Action: faultproxy.RST}, func(err error) bool { return strings.Contains(err.Error(), "reset by peer") }},
		{"eof", faultproxy.Rule{Action: faultproxy.FIN}, func(err error) bool { return strings.Contains(err.Error(), "EOF") }},
		{"silent", faultproxy.Rule{Action: faultproxy.BlackHole}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, through := faultproxytest.Before(t, direct, faultproxy.Config{})
			tc.rule.Name, tc.rule.Count = tc.name, 1
			tc.rule.Match = faultproxy.Match{Message: faultproxy.Startup, Text: faultproxy.Contains("user=postgres")}
			faultproxytest.Add(t, p, tc.rule)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := pgx.Connect(ctx, through); err == nil || !tc.want(err) {
				t.Errorf("connect = %v", err)
			}
			connect(t, through) // Count is spent
		})
	}
}

func itoa(pid uint32) string { return strconv.FormatUint(uint64(pid), 10) }

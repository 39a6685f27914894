package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestEverythingArrivesUnchanged(t *testing.T) {
	_, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	exec(t, conn, "create table t (n int, b text)")
	big := make([]byte, 300_000) // longer than the proxy's buffer
	_, _ = rand.Read(big)
	text := hex.EncodeToString(big)
	source := make([][]any, 50)
	for i := range source {
		source[i] = []any{i, text}
	}
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"n", "b"}, pgx.CopyFromRows(source))
	if err != nil || n != 50 {
		t.Fatalf("CopyFrom = %d, %v, want 50", n, err)
	}
	exec(t, conn, "insert into t values (50, '"+text+"')") // in one Query message
	if _, err := conn.Exec(t.Context(), "insert into t values ($1, $2)", 51, text); err != nil {
		t.Fatal(err)
	}
	if got := number(t, conn, "select count(*) from t where md5(b) = md5('"+text+"')"); got != 52 {
		t.Errorf("rows that arrived unchanged = %d, want 52", got)
	}
	var out bytes.Buffer
	if _, err := conn.PgConn().CopyTo(t.Context(), &out, "copy (select b from t) to stdout"); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat(text+"\n", 52); out.String() != want {
		t.Errorf("copied out %d bytes, want %d, or they differ", out.Len(), len(want))
	}
}

func TestPauseLosesNothing(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	p.Pause()
	p.Pause() // again is no harm
	answers := make(chan error, 2)
	go func() {
		_, err := conn.Exec(context.Background(), "select 1")
		answers <- err
	}()
	go func() {
		late, err := pgx.Connect(context.Background(), through)
		if err == nil {
			err = late.Close(context.Background())
		}
		answers <- err
	}()
	select {
	case err := <-answers:
		t.Errorf("an answer through a paused proxy: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	p.Resume()
	p.Resume()
	if err := errors.Join(<-answers, <-answers); err != nil {
		t.Errorf("after Resume: %v", err)
	}
}

func TestRefuse(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	p.Refuse(true)
	if _, err := pgx.Connect(t.Context(), through); err == nil {
		t.Error("connect succeeded")
	}
	exec(t, conn, "select 1") // open ones go on
	p.Refuse(false)
	connect(t, through)
	if got := p.Stats(); got.Refused == 0 || got.Connections != got.Refused+2 {
		t.Errorf("Stats = %+v, want all but 2 refused", got) // pgx may try more than once
	}
}

func TestCutAll(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	for name, how := range map[string]faultproxy.Action{"fin": faultproxy.FIN, "rst": faultproxy.RST} {
		t.Run(name, func(t *testing.T) {
			conns := []*pgx.Conn{connect(t, through), connect(t, through)}
			p.CutAll(how)
			for _, conn := range conns {
				if _, err := conn.Exec(t.Context(), "select 1"); err == nil {
					t.Error("a cut connection answered")
				}
			}
			eventually(t, "the links to end", func() bool { return p.Stats().Open == 0 })
		})
	}
}

func TestHangUpsAreCountedOnceTheClientWasTold(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	if got := p.Stats().HangUps; got != 0 {
		t.Errorf("HangUps = %d before the server hung up, want 0", got)
	}
	exec(t, connect(t, server.Schema(t)), fmt.Sprintf("select pg_terminate_backend(%d)", conn.PgConn().PID()))
	eventually(t, "the client to be told", func() bool { return p.Stats().HangUps == 1 })
	if _, err := conn.Exec(t.Context(), "select 1"); err == nil {
		t.Error("the server that hung up answered")
	}
}

func TestTargetCanChange(t *testing.T) {
	replica := pgclustertest.Replica(t, server.Cluster(t), pgcluster.ReplicaConfig{})
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	const standby = "select pg_is_in_recovery()::int"
	first := connect(t, through)
	p.SetTarget(replica.Addr())
	if got := number(t, connect(t, through), standby); got != 1 {
		t.Error("a new connection goes to the old target")
	}
	if got := number(t, first, standby); got != 0 {
		t.Error("an open connection moved")
	}
	if err := replica.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), through); err == nil {
		t.Error("connect to a dead target succeeded")
	}
}

func TestThrottle(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	h := faultproxytest.Add(t, p, faultproxy.Rule{
		Name: "slow link", Match: faultproxy.Match{Message: faultproxy.DataRow}, Count: 1,
		Action: faultproxy.Throttle, Rate: 50_000,
	})
	start := time.Now()
	if got := number(t, conn, "select length(repeat('x', 10000))"); got != 10000 {
		t.Error(got)
	}
	exec(t, conn, "select repeat('x', 10000)") // 0.2 s at that rate
	if took := time.Since(start); took < 200*time.Millisecond || h.Hits() != 1 {
		t.Errorf("10 kB at 50 kB/s took %v, hits = %d", took, h.Hits())
	}
}

func TestBlackHoleEndsAfterHold(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	faultproxytest.Add(t, p, faultproxy.Rule{
		Name: "hole", Match: faultproxy.Match{Message: faultproxy.Query}, Action: faultproxy.BlackHole, Hold: 50 * time.Millisecond,
	})
	if _, err := conn.Exec(t.Context(), "select 1"); err == nil {
		t.Error("a black hole answered")
	}
	eventually(t, "the link to end", func() bool { return p.Stats().Open == 0 })
}

func TestHalfOpenConnectionKeepsTheTransactionOpen(t *testing.T) {
	direct := server.Schema(t)
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{})
	conn, watcher := connect(t, through), connect(t, direct)
	exec(t, watcher, "create table t (n int)")
	exec(t, conn, "begin; insert into t values (1)")
	pid := conn.PgConn().PID()
	faultproxytest.Add(t, p, faultproxy.Rule{
		Name: "half", Match: commitSent, Action: faultproxy.RST, Side: faultproxy.ClientSide,
	})
	if err := simple(t.Context(), conn); err == nil {
		t.Error("commit succeeded")
	}
	var state string
	if err := watcher.QueryRow(t.Context(), "select state from pg_stat_activity where pid = $1", pid).Scan(&state); err != nil {
		t.Fatal(err)
	}
	if state != "idle in transaction" {
		t.Errorf("the server's side is %q, want idle in transaction", state)
	}
	exec(t, watcher, "select pg_terminate_backend("+itoa(pid)+", 5000)")
	if got := settled(t, direct); got != 0 {
		t.Errorf("rows = %d, want 0", got)
	}
	eventually(t, "the link to end with its other side", func() bool { return p.Stats().Open == 0 })
}

func TestCancelRequestsPass(t *testing.T) {
	direct := server.Schema(t)
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{})
	conn, watcher := connect(t, through), connect(t, direct)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select pg_sleep(30)")
		ended <- err
	}()
	eventually(t, "the query to run", func() bool {
		return number(t, watcher, "select count(*) from pg_stat_activity where state = 'active' and pid = "+itoa(conn.PgConn().PID())) == 1
	})
	drop := faultproxytest.Add(t, p, faultproxy.Rule{
		Name: "lost cancel", Match: faultproxy.Match{Message: faultproxy.CancelRequest}, Action: faultproxy.FIN, Count: 1,
	})
	_ = conn.PgConn().CancelRequest(t.Context())
	if drop.Hits() != 1 {
		t.Errorf("hits = %d, want 1", drop.Hits())
	}
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; sqlState(err) != "57014" {
		t.Errorf("the query ended with %v, want 57014", err)
	}
	if got := p.Stats().Cancels; got != 2 {
		t.Errorf("cancels = %d, want 2", got)
	}
}

func TestRemovedRuleStrikesNoMore(t *testing.T) {
	p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{})
	conn := connect(t, through)
	query := faultproxy.Match{Message: faultproxy.Query}
	h := faultproxytest.Add(t, p, faultproxy.Rule{Name: "a", Match: query})
	exec(t, conn, "select 1")
	h.Remove()
	exec(t, conn, "select 1")
	if h.Hits() != 1 {
		t.Errorf("hits = %d, want 1", h.Hits())
	}
	if _, err := p.Add(faultproxy.Rule{Match: query}); err == nil {
		t.Error("a rule without a name was taken")
	}
}

// TestKillTheBackendAtCommit is what a torture test does: the event names the backend,
// and the caller kills it right after the COMMIT was sent.
func TestKillTheBackendAtCommit(t *testing.T) {
	c := pgclustertest.New(t, pgcluster.Config{})
	direct := c.URL("postgres")
	var seen atomic.Pointer[faultproxy.Fault]
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{OnFault: func(f faultproxy.Fault) {
		seen.Store(&f)
		if err := c.KillBackend(f.BackendPID); err != nil {
			t.Error(err)
		}
	}})
	exec(t, connect(t, direct), "create table t (n int)")
	conn := connect(t, through)
	exec(t, conn, "begin; insert into t values (1)")
	faultproxytest.Add(t, p, faultproxy.Rule{Name: "kill", Match: commitSent, When: faultproxy.After})
	err := simple(t.Context(), conn)
	f := seen.Load()
	if f == nil || f.BackendPID != int(conn.PgConn().PID()) || f.Rule != "kill" || f.Text != "commit" || f.Message != faultproxy.Query {
		t.Fatalf("event = %+v, want the commit of backend %d", f, conn.PgConn().PID())
	}
	var rows int
	eventually(t, "the server to recover", func() bool {
		again, err := pgx.Connect(t.Context(), direct)
		if err != nil {
			return false
		}
		defer abandon(again)
		return again.QueryRow(t.Context(), "select count(*) from t").Scan(&rows) == nil
	})
	if err == nil && rows != 1 {
		t.Error("a commit that was acknowledged is lost")
	}
}

func TestConcurrentConnectionsAndFaults(t *testing.T) {
	direct := server.Schema(t)
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{Seed: 7})
	exec(t, connect(t, direct), "create table t (n int)")
	h := faultproxytest.Add(t, p, faultproxy.Rule{Name: "reply lost", Match: commitReply, Action: faultproxy.RST, Probability: 0.3})
	var told, all atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 15 {
				conn, err := pgx.Connect(t.Context(), through)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := conn.Exec(t.Context(), "begin; insert into t values (1)"); err != nil {
					t.Error(err)
				}
				all.Add(1)
				if simple(t.Context(), conn) == nil {
					told.Add(1)
				}
				abandon(conn)
			}
		})
	}
	workers.Wait()
	if got := settled(t, direct); int64(got) != all.Load() {
		t.Errorf("rows = %d, want %d: each COMMIT was sent", got, all.Load())
	}
	if lost := all.Load() - told.Load(); lost != int64(h.Hits()) || lost == 0 {
		t.Errorf("commits without a reply = %d, hits = %d", lost, h.Hits())
	}
}

func TestClosedProxy(t *testing.T) {
	if _, err := faultproxy.New(faultproxy.Config{Target: "nonsense"}); err == nil {
		t.Error("New without a port succeeded")
	}
	p, err := faultproxy.New(faultproxy.Config{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Close(), p.Close(), p.Run(t.Context())); err != nil {
		t.Errorf("Close, Close, Run = %v, want nil", err)
	}
	p, err = faultproxy.New(faultproxy.Config{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Errorf("Run with an ended context = %v, want nil", err)
	}
	if err := p.Run(t.Context()); err == nil {
		t.Error("a second Run succeeded")
	}
}

// An answer once overtook the cut behind its COMMIT.
func TestNoAnswerOvertakesTheCut(t *testing.T) {
	t.Parallel()
	direct := server.Schema(t)
	p, through := faultproxytest.Before(t, direct, faultproxy.Config{})
	exec(t, connect(t, direct), "create table t (n int)")
	actions := []faultproxy.Rule{
		{Action: faultproxy.FIN},
		{Action: faultproxy.RST},
		{Action: faultproxy.RST, Side: faultproxy.ClientSide},
		{Action: faultproxy.Fatal, SQLState: "57P01"},
		{Action: faultproxy.BlackHole, Hold: time.Millisecond},
		{Action: faultproxy.BlackHole, Side: faultproxy.ClientSide, Hold: time.Millisecond},
	}
	const rounds = 15
	for range rounds {
		for _, r := range actions {
			r.Name, r.Match, r.When = "cut", commitSent, faultproxy.After
			h := faultproxytest.Add(t, p, r)
			conn := connect(t, through)
			exec(t, conn, "begin; insert into t values (1)")
			if err := simple(t.Context(), conn); err == nil {
				t.Errorf("%+v: the client was told of success", r)
			}
			h.Remove()
		}
	}
	p.CutAll(faultproxy.RST)
	if got := settled(t, direct); got != rounds*len(actions) {
		t.Errorf("rows = %d, want %d", got, rounds*len(actions))
	}
}

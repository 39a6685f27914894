// Package torture breaks connections, servers and primaries at the moment of a
// COMMIT, thousands of times, and counts what came of each transaction.
package torture

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

//nolint:gochecknoglobals // a flag
var size = flag.String("torture", "short", "short or full")

func TestMain(m *testing.M) {
	flag.Parse()
	if *size != "short" && *size != "full" {
		_, _ = os.Stderr.WriteString("-torture is short or full\n")
		os.Exit(2)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// amount is what is done for each method.
type amount struct{ cuts, kills, promotions int }

func amounts() amount {
	if *size == "full" {
		return amount{cuts: 10_000, kills: 100, promotions: 5}
	}
	return amount{cuts: 200, kills: 4, promotions: 1}
}

func TestTorture(t *testing.T) {
	n := amounts()
	for _, method := range []perdurepgx.Outcome{perdurepgx.Marker, perdurepgx.Token} {
		t.Run(method.String(), func(t *testing.T) {
			t.Run("cuts", func(t *testing.T) { cuts(t, method, n.cuts) })
			t.Run("kills", func(t *testing.T) { kills(t, method, n.kills) })
			t.Run("promotions", func(t *testing.T) { promotions(t, method, n.promotions) })
		})
	}
}

// isCommit matches the COMMIT of a piece of work, isResolver the question of the resolver.
func isCommit(sql string) bool {
	return strings.HasSuffix(strings.ToLower(sql), "commit") && !isResolver(sql)
}

func isResolver(sql string) bool {
	return faultproxy.Contains("perdure.resolve(")(sql) || faultproxy.Contains("pg_xact_status(")(sql) ||
		faultproxy.Contains("emit_message")(sql)
}

// commitFaults are the ways in which a COMMIT or its reply is lost.
func commitFaults(chance float64) []faultproxy.Rule {
	commit := faultproxy.Match{Message: faultproxy.Query, Text: isCommit}
	reply := faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("commit")}
	const hold = 3 * time.Second
	rules := []faultproxy.Rule{
		{Name: "commit kept back, FIN", Match: commit, Action: faultproxy.FIN},
		{Name: "commit kept back, RST", Match: commit, Action: faultproxy.RST},
		{Name: "commit kept back, server unaware", Match: commit, Action: faultproxy.RST, Side: faultproxy.ClientSide, Hold: hold},
		{Name: "commit swallowed", Match: commit, Action: faultproxy.BlackHole, Side: faultproxy.ServerSide, Hold: hold},
		{Name: "commit sent, FIN", Match: commit, When: faultproxy.After, Action: faultproxy.FIN},
		{Name: "commit sent, RST", Match: commit, When: faultproxy.After, Action: faultproxy.RST},
		{Name: "commit sent, client cut", Match: commit, When: faultproxy.After, Action: faultproxy.RST, Side: faultproxy.ClientSide, Hold: hold},
		{Name: "reply lost, FIN", Match: reply, Action: faultproxy.FIN},
		{Name: "reply lost, RST", Match: reply, Action: faultproxy.RST},
		{Name: "reply swallowed", Match: reply, Action: faultproxy.BlackHole, Side: faultproxy.ClientSide, Hold: hold},
	}
	for i := range rules {
		rules[i].Probability = chance
	}
	// The resolver is no better off than others, but it is one of many.
	question := faultproxy.Match{Message: faultproxy.Query, Text: isResolver}
	for _, r := range []faultproxy.Rule{
		{Name: "resolver's question kept back", Match: question, Action: faultproxy.RST},
		{Name: "resolver's question sent, RST", Match: question, When: faultproxy.After, Action: faultproxy.RST},
		{Name: "resolver's question swallowed", Match: question, Action: faultproxy.BlackHole, Side: faultproxy.ServerSide, Hold: hold},
	} {
		r.Probability = chance / 10
		rules = append(rules, r)
	}
	return rules
}

func cuts(t *testing.T, method perdurepgx.Outcome, want int) {
	t.Helper()
	c := pgclustertest.New(t, pgcluster.Config{})
	proxy, url := faultproxytest.Before(t, c.URL("postgres"), faultproxy.Config{Seed: 1})
	l := newLedger(t, url, method)
	l.start(t, c.URL("postgres"))
	for _, r := range commitFaults(0.05) {
		faultproxytest.Add(t, proxy, r)
	}
	began, tell := time.Now(), 1_000
	l.until(t, func() bool {
		total := 0
		for _, n := range proxy.Stats().Faults {
			total += int(n)
		}
		if total >= tell {
			t.Logf("%d of %d cuts after %v", total, want, time.Since(began).Round(time.Second))
			tell += 1_000
		}
		return total >= want
	})
	for name, n := range proxy.Stats().Faults {
		t.Logf("%6d × %s", n, name)
	}
	l.finish(t, c.URL("postgres"), method == perdurepgx.Token)
}

func kills(t *testing.T, method perdurepgx.Outcome, want int) {
	t.Helper()
	c := pgclustertest.New(t, pgcluster.Config{})
	struck := make(chan int, 1)
	proxy, url := faultproxytest.Before(t, c.URL("postgres"), faultproxy.Config{Seed: 2, OnFault: func(f faultproxy.Fault) {
		select {
		case struck <- f.BackendPID:
		default:
		}
	}})
	l := newLedger(t, url, method)
	l.start(t, c.URL("postgres"))
	for i := range want {
		l.progress(t)
		when := faultproxy.After
		if i%3 == 2 {
			when = faultproxy.Before
		}
		drain(struck)
		rule := faultproxytest.Add(t, proxy, faultproxy.Rule{
			Name: "kill", Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}, When: when, Skip: i % 7, Count: 1,
		})
		pid := <-struck
		if i%2 == 0 {
			if err := c.KillBackend(pid); err != nil {
				t.Logf("backend %d was gone: %v", pid, err)
			}
		} else {
			began := time.Now()
			if err := c.Kill(); err != nil {
				t.Error(err)
			}
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.down(began)
		}
		rule.Remove()
	}
	l.progress(t)
	t.Logf("%6d × kill -9", want)
	l.finish(t, c.URL("postgres"), method == perdurepgx.Token)
}

func drain(c chan int) {
	select {
	case <-c:
	default:
	}
}

// promotions replaces the primary by an asynchronous replica. The primary's
// walsender is held back before, so that commits that were acknowledged are
// really lost: those are PostgreSQL's loss, and nobody else may add to them.
func promotions(t *testing.T, method perdurepgx.Outcome, want int) {
	t.Helper()
	for range want {
		primary := pgclustertest.New(t, pgcluster.Config{})
		proxy, url := faultproxytest.Before(t, primary.URL("postgres"), faultproxy.Config{Seed: 3})
		l := newLedger(t, url, method)
		replica := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{})
		l.start(t, primary.URL("postgres"))
		for _, r := range commitFaults(0.005) {
			faultproxytest.Add(t, proxy, r)
		}
		l.progress(t)
		if err := primary.FreezeBackend(walSender(t, primary)); err != nil {
			t.Fatal(err)
		}
		l.progress(t)
		l.progress(t)
		began := time.Now()
		proxy.Refuse(true)
		proxy.CutAll(faultproxy.RST)
		if err := primary.Kill(); err != nil {
			t.Error(err)
		}
		l.failover()
		if err := replica.Promote(t.Context()); err != nil {
			t.Fatal(err)
		}
		proxy.SetTarget(replica.Addr())
		proxy.Refuse(false)
		l.down(began)
		l.progress(t)
		l.progress(t)
		if dropped := l.finish(t, replica.URL("postgres"), method == perdurepgx.Token); dropped == 0 {
			t.Error("the failover dropped nothing that was acknowledged: the walsender was not held back")
		}
	}
}

func walSender(t *testing.T, primary *pgcluster.Cluster) (pid int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), "select pid from pg_stat_replication").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}
